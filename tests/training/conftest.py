"""A toy spine film: one bright body on noise."""

from dataclasses import dataclass

import numpy as np
import pytest


@dataclass(frozen=True)
class ToyFilms:
    """One bright rectangle; its corners, mid-endplates and mask are known."""

    side_px: int = 32
    with_points: bool = False

    def sample(self, rng):
        top, left = rng.integers(4, self.side_px - 16, 2)
        height, width = rng.integers(6, 11, 2)
        mask = np.zeros((1, self.side_px, self.side_px), np.float32)
        mask[0, top : top + height, left : left + width] = 1.0
        sample = {
            "image": mask + rng.normal(0, 0.2, mask.shape),
            "mask": mask,
            "mask_valid": np.ones((1, 1, 1)),
        }
        if self.with_points:
            rows, cols = [0, 0, 0, 1, 1, 1], [0, 0.5, 1, 1, 0.5, 0]
            points = np.stack([top + np.array(rows) * height, left + np.array(cols) * width], axis=1) - 0.5
            sample |= {
                "points": points,
                "points_valid": np.ones(6),
                "body": 1.0,
                "level": 2,
                "flags": np.zeros(3),
            }
        return sample


@pytest.fixture
def toy_films():
    return ToyFilms
