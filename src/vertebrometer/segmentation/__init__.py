"""From a film to vertebral bodies in its own pixels."""

from vertebrometer.segmentation.bodies import Segmentation, segment

__all__ = ["Segmentation", "segment"]
