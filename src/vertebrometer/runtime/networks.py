"""The three networks that measure a film, opened together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vertebrometer.runtime.onnx import OnnxPredictor
from vertebrometer.runtime.shipped import WEIGHTS_FOLDER, open_weights, shipped_weights

COARSE_WEIGHTS: Final = "coarse"
POINTS_WEIGHTS: Final = "points"
CORNERS_WEIGHTS: Final = "corners"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MeasuringNetworks:
    """The networks of `vertebrometer.pipeline.Measurer`."""

    coarse: OnnxPredictor
    """Finds bodies."""
    points: OnnxPredictor
    """Looks at each."""
    corners: OnnxPredictor | None
    """Looks closely at each point; a folder of one's own may do without it."""

    @property
    def all(self) -> tuple[OnnxPredictor, ...]:
        """Those that there are."""
        return tuple(network for network in (self.coarse, self.points, self.corners) if network is not None)


def open_networks(folder: Path = WEIGHTS_FOLDER, *, threads: int = 0) -> MeasuringNetworks:
    """Open the networks in `folder`, each with so many CPU threads; 0 takes one for each core.

    Raises
    ------
    WeightsError
        Weights are missing or damaged.
    """
    closely = CORNERS_WEIGHTS in shipped_weights(folder)
    return MeasuringNetworks(
        coarse=open_weights(COARSE_WEIGHTS, threads=threads, folder=folder),
        points=open_weights(POINTS_WEIGHTS, threads=threads, folder=folder),
        corners=open_weights(CORNERS_WEIGHTS, threads=threads, folder=folder) if closely else None,
    )
