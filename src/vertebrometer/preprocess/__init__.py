"""Preparing a film for a network: local contrast, and a square that knows the way back."""

from vertebrometer.preprocess.contrast import clahe
from vertebrometer.preprocess.square import Preprocessed, prepare

__all__ = ["Preprocessed", "clahe", "prepare"]
