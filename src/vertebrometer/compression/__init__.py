"""How far a vertebral body is compressed, by definitions that have names."""

from vertebrometer.compression.geometry import compression_percent, compressions
from vertebrometer.compression.neighbours import GAP_FACTOR, LARGEST_REACH
from vertebrometer.compression.values import Compression, Definition, IntervalCalibration

__all__ = [
    "GAP_FACTOR",
    "LARGEST_REACH",
    "Compression",
    "Definition",
    "IntervalCalibration",
    "compression_percent",
    "compressions",
]
