"""Names of arrays and the protocols that plug-ins meet.

Points are (row, col) in pixels, the centre of the first pixel at (0, 0): pixel
n covers [n - 0.5, n + 0.5). Files that others read, such as reports, use
[x, y] = [col, row].
"""

from __future__ import annotations

from typing import Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

GrayImage: TypeAlias = NDArray[np.float32]
"""Shape (rows, cols); 0 is air-dark and 1 is bone-bright, whatever the file stored."""

FloatArray: TypeAlias = NDArray[np.float64]
"""Any array of numbers whose name says what they mean."""

PointsRC: TypeAlias = NDArray[np.float64]
"""Shape (n, 2); row and column of points in pixels."""

BoolMask: TypeAlias = NDArray[np.bool_]
"""Shape (rows, cols); true inside."""

LabelMap: TypeAlias = NDArray[np.int32]
"""Shape (rows, cols); 0 is background, n the n-th body from the top."""

ChannelImage: TypeAlias = NDArray[np.float32]
"""Shape (channels, rows, cols)."""


class Predictor(Protocol):
    """A trained network, whatever library runs it."""

    def __call__(self, batch: NDArray[np.float32], /) -> dict[str, NDArray[np.float32]]:
        """Map a batch (n, channels, rows, cols) to named outputs, each with n rows first."""
        ...
