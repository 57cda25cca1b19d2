"""Spines made of boxes, whose every length is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

nibabel = pytest.importorskip("nibabel")

BODY_MM = (26.0, 34.0, 44.0)
"""Height, depth and width of every box."""
FIRST_ROW_MM, PITCH_MM, FRONT_MM = 20.0, 36.0, 30.0


def box_spine(levels: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """Return HU and VerSe codes of boxes in a water bath, axes (row, col, slice), 1 x 1 x 2 mm."""
    shape = (int(FIRST_ROW_MM * 2 + PITCH_MM * levels), 130, 40)
    hu, codes = np.zeros(shape, np.int16), np.zeros(shape, np.uint8)
    for number in range(levels):
        top = int(FIRST_ROW_MM + PITCH_MM * number)
        bottom, front = top + int(BODY_MM[0]), int(FRONT_MM)
        back = front + int(BODY_MM[1])
        vertebra = np.zeros(shape, bool)
        vertebra[top:bottom, front:back, 9:31] = True
        for side in (slice(10, 14), slice(26, 30)):
            vertebra[top + 2 : top + 13, back : back + 18, side] = True
        vertebra[top + 2 : bottom, back + 18 : back + 30, 10:30] = True
        codes[vertebra] = 20 + number
        hu[vertebra] = 500
    return hu, codes


def write_as_verse(
    folder: Path, hu: np.ndarray, codes: np.ndarray, name: str = "sub-box"
) -> tuple[Path, Path]:
    """Write a CT and its mask with another order of axes, as scanners do."""
    # Stored as (left, posterior, superior), each the other way round or swapped.
    affine = np.diag([-2.0, -1.0, 1.0, 1.0])
    paths = (folder / f"{name}_ct.nii.gz", folder / f"{name}_seg-vert_msk.nii.gz")
    folder.mkdir(parents=True, exist_ok=True)
    for path, volume in zip(paths, (hu, codes), strict=True):
        stored = volume[::-1, :, ::-1].transpose(2, 1, 0)
        nibabel.save(nibabel.Nifti1Image(np.ascontiguousarray(stored), affine), path)
    return paths


@pytest.fixture(scope="session")
def box_paths(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_as_verse(tmp_path_factory.mktemp("ct"), *box_spine())


@pytest.fixture(scope="session")
def box(box_paths):
    from vertebrometer.projection import load_spine

    return load_spine(*box_paths, name="box")
