import csv
import io
import os
from dataclasses import replace

import cv2
import numpy as np
import pytest

from tests.spines import body, spine
from vertebrometer.anatomy import Facing, Reason, SixPoints
from vertebrometer.errors import OutputError
from vertebrometer.export import (
    COLUMNS,
    band_colour,
    draw_overlay,
    measurements_csv,
    overlay_png,
    remove_leftovers,
    write_bytes,
    write_text,
)
from vertebrometer.report import FilmFacts, Side, measured_report, refused_report

FILM = FilmFacts(file="film.png", rows=400, cols=300)
IMAGE = np.linspace(0, 1, 400 * 300, dtype=np.float32).reshape(400, 300)


def report_of(vertebrae, **kwargs):
    return measured_report(
        vertebrae, **({"film": FILM, "facing": Facing.RIGHT, "facing_confidence": 1.0} | kwargs)
    )


def table(*reports):
    return list(csv.DictReader(io.StringIO(measurements_csv(reports))))


def test_the_table_has_a_row_per_body_also_for_what_was_not_measured():
    rows = table(("film", report_of(spine(30, 24, 30, sd=0.2))))
    assert [row["body"] for row in rows] == ["1", "2", "3"]
    assert (rows[1]["compression_percent"], rows[1]["compared_with"]) == ("20.0", "1 3")
    assert (rows[0]["compression_percent"], rows[0]["not_measured"]) == ("", "no_neighbour_above")
    assert "no body above it" in rows[0]["explanation"]


def test_a_refused_film_has_a_row_that_says_why():
    [row] = table(("bad", refused_report(FILM, code="truncated_file", message="the file ends early")))
    assert (row["film"], row["film_usable"], row["not_measured"]) == ("bad", "no", "truncated_file")
    assert (row["explanation"], row["compression_percent"]) == ("the file ends early", "")


def test_what_is_not_known_is_empty_and_never_zero():
    row = table(("film", report_of(spine(30, 24, 30))))[1]
    assert [row[key] for key in ("level", "anterior_mm", "interval_90_low", "level_confidence")] == [""] * 4


def test_every_row_has_every_column_and_no_other():
    rows = table(("film", report_of(spine(30, 24, 30))), ("bad", refused_report(FILM, code="x", message="y")))
    assert all(tuple(row) == COLUMNS for row in rows)


def test_a_file_name_cannot_become_a_formula():
    film = replace(FILM, file="=HYPERLINK(1)")
    assert table(("x", refused_report(film, code="x", message="y")))[0]["file"] == "'=HYPERLINK(1)"


def test_negative_compressions_stay_numbers():
    assert float(table(("film", report_of(spine(30, 33, 30))))[1]["compression_percent"]) == pytest.approx(
        -10.0
    )


@pytest.mark.parametrize(("percent", "same_as"), [(-30, 0), (9.99, 0), (10, 19.9), (20, 39.9), (40, 99)])
def test_a_value_on_a_limit_takes_the_colour_of_the_higher_band(percent, same_as):
    assert band_colour(percent) == band_colour(same_as)


def test_the_four_bands_have_four_colours():
    assert len({band_colour(percent) for percent in (0, 10, 20, 40)}) == 4


@pytest.mark.parametrize("shape", [(400, 300), (3000, 2000), (300, 3000), (60, 40)])
def test_an_overlay_is_of_a_handy_size_whatever_the_film_is(shape):
    image = np.random.default_rng(0).random(shape, dtype=np.float32)
    picture = draw_overlay(image, report_of([], film=replace(FILM, rows=shape[0], cols=shape[1])))
    assert picture.dtype == np.uint8
    assert picture.shape[2] == 3
    assert 1200 <= max(picture.shape[0] - 400, picture.shape[1]) <= 1800 + 1 or max(picture.shape[:2]) <= 2200


def test_the_outline_lies_where_the_body_is():
    black = np.zeros((400, 300), dtype=np.float32)
    # Enlarged 3 times; the lower edge of the second body is at row 84, halfway along it column 110.
    picture = draw_overlay(black, report_of(spine(30, 24, 30)))
    row, col = round((60 + 0.5) * 3 - 0.5), round((110 + 0.5) * 3 - 0.5)
    near = picture[row - 2 : row + 3, col].reshape(-1, 3)
    assert any(np.abs(pixel.astype(int) - band_colour(20.0)).max() < 40 for pixel in near)


def test_the_film_under_the_outlines_is_not_changed():
    image = IMAGE.copy()
    draw_overlay(image, report_of(spine(30, 24, 30)))
    assert np.array_equal(image, IMAGE)


def test_pixels_that_are_not_square_are_shown_square():
    film = replace(FILM, aspect=2.0)
    picture = draw_overlay(IMAGE, report_of([], film=film))
    plain = draw_overlay(IMAGE, report_of([]))
    assert picture.shape[0] / picture.shape[1] > 1.5 * plain.shape[0] / plain.shape[1]


@pytest.mark.parametrize("facing", list(Facing))
def test_every_kind_of_report_can_be_drawn(facing):
    bodies = [
        *spine(30, 15, 30, 40, sd=0.4),
        body(390, 30, left=-10, reasons=(Reason.CUT_BY_BORDER,), confidence=0.3),
    ]
    report = report_of(bodies, facing=facing, overruled=[Reason.CUT_BY_BORDER])
    assert draw_overlay(IMAGE, report).std() > 0


def test_labels_stay_beside_their_bodies_whichever_way_up_the_film_is():
    upright = report_of(spine(30, 24, 30))
    head_down = replace(upright, vertebrae=upright.vertebrae[::-1])
    assert head_down.head_down
    assert np.array_equal(draw_overlay(IMAGE, head_down), draw_overlay(IMAGE, upright))


@pytest.mark.parametrize(("quarters", "head"), [(1, Side.LEFT), (-1, Side.RIGHT)])
def test_a_film_on_its_side_is_shown_head_up(quarters, head):
    upright = report_of(spine(30, 24, 30))
    bodies = [turned(one.as_vertebra(), quarters, IMAGE.shape) for one in upright.vertebrae]
    rows, cols = IMAGE.shape
    lying = report_of(bodies, film=replace(FILM, rows=cols, cols=rows))
    assert lying.head_side is head
    shown = draw_overlay(np.ascontiguousarray(np.rot90(IMAGE, quarters)), lying)
    as_ever = draw_overlay(IMAGE, upright)
    film_rows = np.nonzero((as_ever == as_ever[-1, 0]).all(axis=(1, 2)))[0][0]
    np.testing.assert_allclose(shown[:film_rows].astype(int), as_ever[:film_rows], atol=2)
    # One line more says so.
    assert shown.shape[0] > as_ever.shape[0]


def turned(vertebra, quarters, shape):
    """Turn a body as `numpy.rot90` turns its film."""

    def carried(points_rc):
        row, col = np.asarray(points_rc).T
        return np.stack((shape[1] - 1 - col, row) if quarters == 1 else (col, shape[0] - 1 - row), axis=1)

    return replace(
        vertebra,
        points=SixPoints(carried(vertebra.points.points_rc)),
        contour_rc=carried(vertebra.contour_rc),
    )


def test_a_label_of_a_body_beside_a_fracture_has_a_line_more():
    heights = (30, 30, 31, 14, 30, 30, 30)
    plain, fracture = (
        draw_overlay(np.zeros((400, 300), np.float32), report_of(spine(*anteriors, sd=0.4)))
        for anteriors in ((30,) * 7, heights)
    )
    row = slice(20 + 2 * 40, 20 + 3 * 40)
    scale = plain.shape[1] / 300
    rows = slice(round(row.start * scale), round(row.stop * scale))
    beside = slice(round(150 * scale), None)
    assert (fracture[rows, beside] > 90).sum() > 1.4 * (plain[rows, beside] > 90).sum()


def test_a_refused_film_is_drawn_with_its_reason():
    report = report_of([], reasons=[Reason.NOT_A_LATERAL_SPINE])
    assert draw_overlay(IMAGE, report).shape[0] > draw_overlay(IMAGE, report_of([])).shape[0]


def test_a_flat_film_can_be_drawn():
    assert draw_overlay(np.full((400, 300), 0.5, dtype=np.float32), report_of(spine(30, 24, 30))).any()


def test_the_png_holds_the_overlay_in_its_true_colours():
    report = report_of(spine(30, 24, 30))
    decoded = cv2.imdecode(np.frombuffer(overlay_png(IMAGE, report), np.uint8), cv2.IMREAD_COLOR)
    assert np.array_equal(decoded[:, :, ::-1], draw_overlay(IMAGE, report))


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / "a.json"
    write_text(path, "old")
    write_text(path, "new\n")
    assert path.read_bytes() == b"new\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_bytes(path, b"old")

    def disk_full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", disk_full)
    with pytest.raises(OutputError, match="cannot be written: No space"):
        write_bytes(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_leftovers_of_killed_runs_are_swept_up_and_nothing_else(tmp_path):
    (tmp_path / ".a.json.123.vertebrometer-part").write_text("half")
    (tmp_path / ".hidden").write_text("mine")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".hidden"]
