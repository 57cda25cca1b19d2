"""A measurer that needs no weights, for tests of what lies around it."""

from __future__ import annotations

import sys
import types
from dataclasses import dataclass, field

from tests.spines import spine
from vertebrometer import runtime
from vertebrometer.anatomy import Facing, Reason
from vertebrometer.cli import opening
from vertebrometer.compression import Definition
from vertebrometer.report import FilmFacts, measured_report


@dataclass(frozen=True)
class FakeSettings:
    """What the command line asks of the pipeline's settings."""

    definition: Definition = Definition.ADJACENT_MEAN
    force: bool = False
    facing: Facing = Facing.UNKNOWN
    levels: dict[int, str] = field(default_factory=dict)
    threads: int = 0


class FakeMeasurer:
    """Finds three bodies on every film, none on one that is flat below its first row."""

    def __init__(self, settings=None, networks=None):
        self.settings = settings or FakeSettings()
        self.model_hashes = {"bodies": "ab"}

    def measure(self, radiograph):
        rows, cols = radiograph.image.shape
        squashed = radiograph.name.startswith("squashed")
        film = FilmFacts(
            file=radiograph.name,
            rows=rows,
            cols=cols,
            spacing_mm=radiograph.spacing.rc if radiograph.spacing else None,
            spacing_source=radiograph.spacing.source.value if radiograph.spacing else "none",
            facts={"aspect": "1.33, found from the vertebral bodies"} if squashed else {},
        )
        empty = radiograph.name.startswith("empty")
        return measured_report(
            [] if empty else spine(30, 24, 30, sd=0.3),
            film=film,
            facing=Facing.RIGHT if self.settings.facing is Facing.UNKNOWN else self.settings.facing,
            facing_confidence=0.9,
            definition=self.settings.definition,
            reasons=[Reason.NO_BODIES_FOUND] if empty else [],
        )


def measure_with_fakes(monkeypatch):
    """Let the command line measure with `FakeMeasurer`, as if no process had opened anything yet."""
    fake = types.ModuleType("vertebrometer.pipeline")
    fake.Measurer, fake.MeasureSettings = FakeMeasurer, FakeSettings
    monkeypatch.setitem(sys.modules, "vertebrometer.pipeline", fake)
    monkeypatch.setattr(runtime, "open_networks", lambda **_: None)
    monkeypatch.setattr(opening, "_networks", {})
    monkeypatch.setattr(opening, "_measurers", {})
