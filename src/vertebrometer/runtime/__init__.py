"""Running trained networks: ONNX Runtime behind the `Predictor` protocol, model cards, shipped weights."""

from vertebrometer.runtime.cards import CARD_KEY, InputCard, ModelCard, TrainedOn, read_card
from vertebrometer.runtime.networks import CORNERS_WEIGHTS, MeasuringNetworks, open_networks
from vertebrometer.runtime.onnx import OnnxPredictor
from vertebrometer.runtime.shipped import (
    WeightCheck,
    WeightState,
    check_weights,
    open_weights,
    shipped_weights,
    write_manifest,
)

__all__ = [
    "CARD_KEY",
    "CORNERS_WEIGHTS",
    "InputCard",
    "MeasuringNetworks",
    "ModelCard",
    "OnnxPredictor",
    "TrainedOn",
    "WeightCheck",
    "WeightState",
    "check_weights",
    "open_networks",
    "open_weights",
    "read_card",
    "shipped_weights",
    "write_manifest",
]
