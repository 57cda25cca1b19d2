"""Synthetic lateral spine films whose true answers are known."""

from vertebrometer.phantom.making import (
    Phantom,
    make_phantom,
    mirrored,
    numbered_settings,
    phantom_of,
    truth_of,
)
from vertebrometer.phantom.others import other_picture
from vertebrometer.phantom.settings import (
    FIELDS,
    FRACTURE_RATE,
    PHANTOM_EDITION,
    PhantomSettings,
    draw_phantom,
)
from vertebrometer.phantom.spine import NORMS, BodyShape, Fracture, Spine, fractured, stack
from vertebrometer.phantom.writing import write_phantoms

__all__ = [
    "FIELDS",
    "FRACTURE_RATE",
    "NORMS",
    "PHANTOM_EDITION",
    "BodyShape",
    "Fracture",
    "Phantom",
    "PhantomSettings",
    "Spine",
    "draw_phantom",
    "fractured",
    "make_phantom",
    "mirrored",
    "numbered_settings",
    "other_picture",
    "phantom_of",
    "stack",
    "truth_of",
    "write_phantoms",
]
