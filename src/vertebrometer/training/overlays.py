"""Pictures of training samples, to see what a network sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from vertebrometer.training.samples import Batch

# Blue-green-red, as OpenCV wants them; told apart also by readers who do not see red and green.
_TRUTH: Final = (255, 160, 0)
_FOUND: Final = (0, 120, 255)


def draw_masks(batch: Batch, logits: Tensor) -> NDArray[np.uint8]:
    """Outline true masks in blue and found ones in orange, all samples in a row."""
    panels = []
    for image, truth, found in zip(
        batch["image"], batch["mask"], logits.float().sigmoid().cpu(), strict=True
    ):
        panel = _grey(image)
        for masks, colour in ((truth, _TRUTH), (found, _FOUND)):
            for mask in masks.numpy():
                _outline(panel, mask, colour)
        panels.append(panel)
    return np.concatenate(panels, axis=1)


def draw_points(batch: Batch, outputs: Mapping[str, Tensor]) -> NDArray[np.uint8]:
    """Mark true points in blue and found ones in orange, with the outline of the found mask."""
    panels = []
    masks = outputs["mask"].float().sigmoid().cpu()
    valid = batch["points_valid"] if "points_valid" in batch else np.ones(batch["points"].shape[:2])
    for number, image in enumerate(batch["image"]):
        panel = _grey(image)
        _outline(panel, masks[number, 0].numpy(), _FOUND)
        for kind, colour in ((batch["points"], _TRUTH), (outputs["points"].float().cpu(), _FOUND)):
            for (row, col), known in zip(kind[number].tolist(), valid[number], strict=True):
                if known > 0 and np.isfinite([row, col]).all():
                    cv2.circle(panel, (round(col), round(row)), 2, colour, -1, cv2.LINE_AA)
        panels.append(panel)
    return np.concatenate(panels, axis=1)


def draw_patches(batch: Batch, outputs: Mapping[str, Tensor]) -> NDArray[np.uint8]:
    """Mark true points in blue and found ones in orange on the close patches, a body in each row."""
    rows = []
    found, true = outputs["points"].float().cpu(), batch["points"]
    for number, image in enumerate(batch["image"]):
        panels = []
        for place, patch in enumerate(image[::2]):
            panel = np.repeat(np.repeat(_grey(patch[None]), 3, axis=0), 3, axis=1)
            for kind, colour in ((true, _TRUTH), (found, _FOUND)):
                row, col = kind[number, place].tolist()
                if colour is _FOUND or batch["points_valid"][number, place] > 0:
                    cv2.circle(panel, (round(3 * col + 1), round(3 * row + 1)), 2, colour, -1, cv2.LINE_AA)
            panels.append(panel)
        rows.append(np.concatenate(panels, axis=1))
    return np.concatenate(rows, axis=0)


def _grey(image: Tensor) -> NDArray[np.uint8]:
    """Stretch the first channel to 0-255 for the eye alone."""
    values = image[0].numpy()
    low, high = np.percentile(values, [0.5, 99.5])
    stretched = np.clip((values - low) / max(float(high - low), 1e-6), 0.0, 1.0)
    grey: NDArray[np.uint8] = cv2.cvtColor((stretched * 255).astype(np.uint8), cv2.COLOR_GRAY2BGR).astype(
        np.uint8
    )
    return grey


def _outline(panel: NDArray[np.uint8], mask: NDArray[Any], colour: tuple[int, int, int]) -> None:
    size = (panel.shape[1], panel.shape[0])
    large = cv2.resize(mask.astype(np.float32), size, interpolation=cv2.INTER_LINEAR)
    outlines, _ = cv2.findContours((large >= 0.5).astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(panel, outlines, -1, colour, 1, cv2.LINE_AA)
