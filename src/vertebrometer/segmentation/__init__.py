"""From a film to vertebral bodies in its own pixels."""

from vertebrometer.segmentation.bodies import SURE_FROM, Segmentation, segment
from vertebrometer.segmentation.proportions import likely_aspect, proportion

__all__ = ["SURE_FROM", "Segmentation", "likely_aspect", "proportion", "segment"]
