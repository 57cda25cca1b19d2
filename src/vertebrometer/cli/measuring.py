"""How a file becomes a measured film, in this process and in others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from vertebrometer.batch import MeasuredFilm
from vertebrometer.radiographs import Radiograph, read_radiograph
from vertebrometer.report import FilmReport

if TYPE_CHECKING:
    from vertebrometer.pipeline import MeasureSettings


class FilmMeasurer(Protocol):
    """What measures a film that was read; `vertebrometer.pipeline.Measurer` does."""

    @property
    def model_hashes(self) -> dict[str, str]:
        """SHA-256 of each weight file, by name."""
        ...

    def measure(self, radiograph: Radiograph) -> FilmReport:
        """Measure one film."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadingOptions:
    """What a user may say about the files."""

    spacing_mm: tuple[float, float] | None = None
    polarity: Literal["auto", "bone-bright", "bone-dark"] = "auto"
    any_view: bool = False


# Loading the weights takes longer than measuring a film, so each process does it once.
_open: dict[str, FilmMeasurer] = {}


def open_measurer(settings: MeasureSettings) -> FilmMeasurer:
    """Return the measurer for these settings, made on first use."""
    from vertebrometer.pipeline import Measurer

    key = repr(settings)
    if key not in _open:
        _open[key] = Measurer(settings)
    return _open[key]


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
