"""Read surfaces of vertebrae and fill them with voxels; nearly closed ones serve as well."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph

from vertebrometer.errors import UnreadableFileError
from vertebrometer.types import FloatArray

Surface: TypeAlias = tuple[FloatArray, NDArray[np.int64]]
"""Vertices, shape (n, 3), and triangles that count them from 0, shape (m, 3)."""


def read_surface(path: Path) -> tuple[FloatArray, NDArray[np.int64]]:
    """Read vertices, shape (n, 3), and triangles, shape (m, 3), of a Wavefront OBJ file."""
    vertices, faces = [], []
    try:
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("v "):
                vertices.append([float(part) for part in line.split()[1:4]])
            elif line.startswith("f "):
                corners = [int(part.split("/")[0]) for part in line.split()[1:]]
                faces += [[corners[0], corners[k], corners[k + 1]] for k in range(1, len(corners) - 1)]
    except (OSError, ValueError) as error:
        msg = f"{path.name} is no surface that can be read: {error}"
        raise UnreadableFileError(msg) from error
    if not vertices or not faces:
        msg = f"{path.name} holds no triangles; wanted a Wavefront OBJ file with v and f lines"
        raise UnreadableFileError(msg)
    return np.array(vertices), np.array(faces) - 1


def filled(vertices: FloatArray, faces: NDArray[np.int64], shape: tuple[int, int, int]) -> NDArray[np.bool_]:
    """Fill a closed or nearly closed surface whose vertices are in voxels.

    Along each axis in turn, a voxel lies inside where a ray has crossed the
    surface an odd number of times; the vote of the three axes closes small holes.
    """
    votes = np.zeros(shape, dtype=np.uint8)
    for axis in range(3):
        order = [axis, (axis + 1) % 3, (axis + 2) % 3]
        crossed = _parity(vertices[:, order], faces, tuple(shape[k] for k in order))
        votes += np.moveaxis(crossed, (0, 1, 2), order)
    inside: NDArray[np.bool_] = votes >= 2
    return inside


def _parity(vertices: FloatArray, faces: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Count crossings of rays along the first axis, through the centres of voxels."""
    flips = np.zeros((shape[0] + 1, *shape[1:]), dtype=np.int32)
    # A hair aside, so that no ray runs along an edge.
    corners = vertices[faces] + np.array([0.0, 1.3e-4, 2.7e-4])
    for a, b, c in corners:
        low = np.ceil(np.minimum(np.minimum(a, b), c)[1:]).astype(int)
        high = np.floor(np.maximum(np.maximum(a, b), c)[1:]).astype(int)
        low, high = np.maximum(low, 0), np.minimum(high, np.array(shape[1:]) - 1)
        if (low > high).any():
            continue
        j, k = np.meshgrid(np.arange(low[0], high[0] + 1), np.arange(low[1], high[1] + 1), indexing="ij")
        area = (b[1] - a[1]) * (c[2] - a[2]) - (c[1] - a[1]) * (b[2] - a[2])
        if abs(area) < 1e-12:
            continue
        wb = ((j - a[1]) * (c[2] - a[2]) - (c[1] - a[1]) * (k - a[2])) / area
        wc = ((b[1] - a[1]) * (k - a[2]) - (j - a[1]) * (b[2] - a[2])) / area
        hit = (wb >= 0) & (wc >= 0) & (wb + wc <= 1)
        at = a[0] + wb * (b[0] - a[0]) + wc * (c[0] - a[0])
        first = np.clip(np.ceil(at[hit]).astype(int), 0, shape[0])
        np.add.at(flips, (first, j[hit], k[hit]), 1)
    return (np.cumsum(flips, axis=0)[:-1] % 2).astype(bool)


def read_surfaces_csv(vertices: Path, faces: Path, levels: Sequence[str]) -> dict[str, Surface]:
    """Read several closed surfaces from one table of vertices and one of triangles that count from 1.

    Parameters
    ----------
    levels
        Their names from the highest third coordinate to the lowest.
    """
    try:
        points = np.loadtxt(vertices, delimiter=",", dtype=np.float64, ndmin=2)
        triangles = np.loadtxt(faces, delimiter=",", dtype=np.int64, ndmin=2) - 1
    except (OSError, ValueError) as error:
        msg = f"{vertices.name} and {faces.name} are no tables of three numbers a line: {error}"
        raise UnreadableFileError(msg) from error
    links = (np.r_[triangles[:, 0], triangles[:, 1]], np.r_[triangles[:, 1], triangles[:, 2]])
    joined = sparse.coo_matrix((np.ones(len(links[0])), links), shape=(len(points),) * 2)
    count, piece = csgraph.connected_components(joined, directed=False)
    if count != len(levels):
        msg = (
            f"{vertices.name} holds {count} surfaces, but {len(levels)} levels were named; name one for each"
        )
        raise UnreadableFileError(msg)
    order = np.argsort([-points[piece == number, 2].mean() for number in range(count)])
    return {
        level: (points, triangles[piece[triangles[:, 0]] == n])
        for level, n in zip(levels, order, strict=True)
    }
