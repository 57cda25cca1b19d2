"""Training: sources of samples, losses, the loop, checkpoints, export. Needs the extra `train`."""

from vertebrometer.training.checkpoints import BEST, LAST, load_network
from vertebrometer.training.eight_bit import to_eight_bit, typical_images
from vertebrometer.training.joint import run_bodies
from vertebrometer.training.loop import Fitted, TrainingDivergedError, fit
from vertebrometer.training.losses import MaskLoss, PointLoss
from vertebrometer.training.overlays import draw_masks, draw_points
from vertebrometer.training.run import PointsSettings, run_corners, run_points, run_segmentation, train_points
from vertebrometer.training.samples import Batch, MixedSource, Sample, SampleSource, batches, fixed_batches
from vertebrometer.training.settings import TrainingSettings
from vertebrometer.training.validation import MaskScore, PointScore

__all__ = [
    "BEST",
    "LAST",
    "Batch",
    "Fitted",
    "MaskLoss",
    "MaskScore",
    "MixedSource",
    "PointLoss",
    "PointScore",
    "PointsSettings",
    "Sample",
    "SampleSource",
    "TrainingDivergedError",
    "TrainingSettings",
    "batches",
    "draw_masks",
    "draw_points",
    "fit",
    "fixed_batches",
    "load_network",
    "run_bodies",
    "run_corners",
    "run_points",
    "run_segmentation",
    "to_eight_bit",
    "train_points",
    "typical_images",
]
