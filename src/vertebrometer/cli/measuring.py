"""How a file becomes a measured film, in this process and in others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from vertebrometer.batch import MeasuredFilm
from vertebrometer.cli.opening import open_measurer
from vertebrometer.radiographs import read_radiograph


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions:
    """What a user may say about the files."""

    spacing_mm: tuple[float, float] | None = None
    polarity: Literal["auto", "bone-bright", "bone-dark"] = "auto"
    any_view: bool = False


@dataclass(frozen=True, slots=True)
class ReadAndMeasure:
    """Read one file and measure it; travels to other processes."""

    settings: Any
    reading: ReadingOptions

    def __call__(self, path: Path) -> MeasuredFilm:
        """Measure one file."""
        radiograph = read_radiograph(
            path,
            spacing_mm=self.reading.spacing_mm,
            polarity=self.reading.polarity,
            any_view=self.reading.any_view,
        )
        return MeasuredFilm(open_measurer(self.settings).measure(radiograph), radiograph.image)
