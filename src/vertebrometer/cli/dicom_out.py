"""What `measure --dicom-out` adds: the results of each film as DICOM objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import typer

from vertebrometer.batch import Outcome, Source, result_names
from vertebrometer.cli.measuring import ReadingOptions
from vertebrometer.errors import VertebrometerError
from vertebrometer.export.dicom import dicom_results, read_source, require_extra, write_dicom_results
from vertebrometer.radiographs import read_radiograph


class DicomOut:
    """Writes the DICOM results of each outcome, then hands it on."""

    def __init__(
        self,
        folder: Path,
        films: Sequence[Source],
        reading: ReadingOptions,
        *,
        then: Callable[[Outcome], None],
    ) -> None:
        require_extra("dicom", to="--dicom-out")
        self._folder, self._reading, self._then = folder, reading, then
        self._names = result_names(films, {})
        self.failed = 0

    def __call__(self, outcome: Outcome) -> None:
        """Write what there is to write; a film that has no study is named and counted."""
        try:
            self._write(outcome)
        except VertebrometerError as error:
            self.failed += 1
            typer.echo(f"vertebrometer: no DICOM results for {outcome.source.path.name}: {error}", err=True)
        self._then(outcome)

    def _write(self, outcome: Outcome) -> None:
        path, report = outcome.source.path, outcome.report
        source, image = read_source(path), None
        if report.vertebrae:
            image = read_radiograph(
                path,
                spacing_mm=self._reading.spacing_mm,
                polarity=self._reading.polarity,
                any_view=self._reading.any_view,
            ).image
        write_dicom_results(
            self._folder, self._names[outcome.source.key], dicom_results(source, report, image)
        )
