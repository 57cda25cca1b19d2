"""Facts about the table on the terminal."""

from pathlib import Path

from rich.console import Console

from tests.spines import spine
from vertebrometer.anatomy import Facing
from vertebrometer.batch import Outcome, Source
from vertebrometer.cli.tables import print_film
from vertebrometer.compression import Definition
from vertebrometer.report import FilmFacts, measured_report


def shown(*anteriors, definition=Definition.ADJACENT_MEAN):
    report = measured_report(
        spine(*anteriors, sd=0.4),
        film=FilmFacts(file="film.dcm", rows=400, cols=300),
        facing=Facing.RIGHT,
        facing_confidence=1.0,
        definition=definition,
    )
    console = Console(record=True, width=200)
    print_film(Outcome(Source(Path("film.dcm"), Path("film.dcm")), "film", report), console)
    return console.export_text().splitlines()


def row_of(lines, number):
    return next(line for line in lines if line.strip().startswith(f"{number} "))


def test_a_body_beside_a_fracture_is_also_told_against_intact_ones():
    lines = shown(30, 30, 31, 14, 30, 30, 30)
    # Its neighbours' mean is 22, so that by equation 1 it gained 41 %.
    assert "-40.9" in row_of(lines, 3)
    assert "a body next to it is compressed: -3.3 against the nearest intact ones" in row_of(lines, 3)
    assert "intact" not in row_of(lines, 4)


def test_nothing_is_added_where_all_bodies_are_intact_or_that_is_what_was_asked_for():
    assert "intact ones" not in "".join(shown(30, 30, 31, 28, 30, 30, 30))
    lines = shown(30, 30, 31, 14, 30, 30, 30, definition=Definition.NEAREST_INTACT)
    assert "-3.3" in row_of(lines, 3)
    assert "intact ones" not in row_of(lines, 3)
