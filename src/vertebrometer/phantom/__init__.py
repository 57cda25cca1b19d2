"""Synthetic lateral spine films whose true answers are known."""

from vertebrometer.phantom.making import Phantom, make_phantom, mirrored, phantom_of
from vertebrometer.phantom.settings import FIELDS, PhantomSettings, draw_phantom
from vertebrometer.phantom.spine import NORMS, BodyShape, Fracture, Spine, fractured, stack

__all__ = [
    "FIELDS",
    "NORMS",
    "BodyShape",
    "Fracture",
    "Phantom",
    "PhantomSettings",
    "Spine",
    "draw_phantom",
    "fractured",
    "make_phantom",
    "mirrored",
    "phantom_of",
    "stack",
]
