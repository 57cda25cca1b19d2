"""Masks of bodies divided into triplets, as the paper does it, with a log of what was left out."""

from vertebrometer.triplets.dividing import (
    Divided,
    Exclusion,
    LeftOut,
    Triplet,
    divide,
    edge_doubt,
)
from vertebrometer.triplets.labelling import Labelled, LabelSettings, label_bodies, labelled_truth
from vertebrometer.triplets.matching import TrueBody, ValuedTriplet, with_values
from vertebrometer.triplets.picture import Drawn, TripletView, drawn, picture, picture_of, view_map

__all__ = [
    "Divided",
    "Drawn",
    "Exclusion",
    "LabelSettings",
    "Labelled",
    "LeftOut",
    "Triplet",
    "TripletView",
    "TrueBody",
    "ValuedTriplet",
    "divide",
    "drawn",
    "edge_doubt",
    "label_bodies",
    "labelled_truth",
    "picture",
    "picture_of",
    "view_map",
    "with_values",
]
