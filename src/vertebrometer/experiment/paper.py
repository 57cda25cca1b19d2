"""The figures of Seo et al., Sci Rep 2021, that stand beside ours: mean and the SD as printed."""

from __future__ import annotations

from typing import Final

TABLE_1: Final[dict[str, dict[str, tuple[float, float]]]] = {
    "unet": {
        "sensitivity": (0.930, 0.116),
        "specificity": (0.997, 0.001),
        "accuracy": (0.987, 0.006),
        "dice": (0.903, 0.090),
    },
    "resunet": {
        "sensitivity": (0.925, 0.065),
        "specificity": (0.997, 0.003),
        "accuracy": (0.987, 0.005),
        "dice": (0.920, 0.068),
    },
    "r2unet": {
        "sensitivity": (0.934, 0.086),
        "specificity": (0.998, 0.002),
        "accuracy": (0.987, 0.005),
        "dice": (0.923, 0.073),
    },
}
"""By architecture."""

TABLE_2: Final[dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]]] = {
    "image-processing": ((5.255, 0.929), (48.467, 31.091), (6.962, 1.515)),
    "resnet50": ((4.825, 1.611), (45.657, 19.887), (6.757, 1.541)),
    "densenet121": ((4.474, 0.812), (40.244, 10.020), (6.344, 0.751)),
    "carn": ((3.496, 2.365), (22.359, 29.021), (4.729, 2.934)),
    "mrdn": ((2.637, 1.872), (13.985, 24.107), (3.739, 2.187)),
}
"""MAE, MSE and RMSE over 83 fractured bodies, by architecture. What the SD is over is not said; it is not
over bodies, since the squares of 2.637 and 1.872 do not make 13.985."""

PEARSON: Final = 0.946
FILMS_FAILED: Final = (83, 387)
"""Films whose segmentation met none of the conditions, and all films."""
