"""The whole way, with the weights that are shipped: film in, compressions out."""

import shutil
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest

from vertebrometer.anatomy import Facing, NotMeasured, Reason, SixPoints
from vertebrometer.errors import SettingsError
from vertebrometer.phantom import Phantom, phantom_of
from vertebrometer.pipeline import Measurer, MeasureSettings
from vertebrometer.quality import film_reasons, runs_across
from vertebrometer.radiographs import (
    ASSUMED_POLARITY,
    STATED_POLARITY,
    PixelSpacing,
    Radiograph,
    SpacingSource,
    read_radiograph,
)
from vertebrometer.report import FilmReport, Side, report_as_json, report_from_json
from vertebrometer.runtime import write_manifest
from vertebrometer.runtime.shipped import WEIGHTS_FOLDER
from vertebrometer.segmentation import proportion

# A clear lumbar film; any seed with six whole bodies would do.
SEED = 900_000_123


@cache
def lumbar() -> Phantom:
    return phantom_of(SEED, field="lumbar", pixel_mm=0.3)


@cache
def measurer() -> Measurer:
    return Measurer()


@cache
def plain_report() -> FilmReport:
    return measurer().measure(lumbar().radiograph)


def by_index(report: FilmReport) -> dict[int, float]:
    return {body.index: body.percent for body in report.vertebrae if body.percent is not None}


def mirrored(radiograph: Radiograph) -> Radiograph:
    return replace(radiograph, image=np.ascontiguousarray(radiograph.image[:, ::-1]))


def test_bodies_of_a_phantom_are_found_where_they_are():
    true = [body.points.centre_rc for body in lumbar().truth.bodies if body.whole]
    found = np.array([body.corners_rc.mean(axis=0) for body in plain_report().vertebrae])
    depth = 34 / 0.3
    hit = [np.linalg.norm(found - centre, axis=1).min() < 0.15 * depth for centre in true]
    assert np.mean(hit) > 0.9


def test_the_front_of_the_spine_is_found_on_the_film():
    assert plain_report().facing is lumbar().truth.facing


def test_a_film_and_its_mirror_image_give_the_same_values():
    other = measurer().measure(mirrored(lumbar().radiograph))
    assert other.facing is plain_report().facing.opposite
    assert other.facing is not Facing.UNKNOWN
    assert by_index(other) == pytest.approx(by_index(plain_report()), abs=0.1)


def test_a_film_is_measured_the_same_twice():
    assert by_index(measurer().measure(lumbar().radiograph)) == by_index(plain_report())


def test_without_a_spacing_ratios_hold_and_lengths_are_in_pixels():
    report = measurer().measure(replace(lumbar().radiograph, spacing=None))
    assert all(body.heights.anterior_mm is None for body in report.vertebrae)
    assert Reason.NO_SPACING in report.quality.reasons
    common = by_index(report).keys() & by_index(plain_report()).keys()
    assert len(common) >= 3
    assert np.median([abs(by_index(report)[n] - by_index(plain_report())[n]) for n in common]) < 2.5


# Squashed to less than a half, hardly a body is found, and bodies say less surely by how much.
@pytest.mark.parametrize(
    ("rows", "cols", "within"), [(0.7, 1.0, 0.12), (1.0, 0.7, 0.12), (0.45, 1.0, 0.12), (1.0, 0.45, 0.15)]
)
def test_a_squashed_film_of_which_nothing_is_known_is_measured_as_it_was(rows, cols, within):
    film = lumbar().radiograph
    high, wide = round(film.image.shape[0] * rows), round(film.image.shape[1] * cols)
    image = cv2.resize(np.array(film.image), (wide, high), interpolation=cv2.INTER_AREA)
    report = measurer().measure(Radiograph(image=image))
    assert report.film.aspect == pytest.approx(cols / rows, rel=within)
    assert "found from the vertebral bodies" in report.film.facts["aspect"]
    # Points stay in pixels of the film as stored.
    scale = np.array([high / film.image.shape[0], wide / film.image.shape[1]])
    found = np.array([(body.corners_rc.mean(axis=0) + 0.5) / scale - 0.5 for body in report.vertebrae])
    true = [body.points.centre_rc for body in lumbar().truth.bodies if body.whole]
    hit = [np.linalg.norm(found - centre, axis=1).min() < 0.15 * 34 / 0.3 for centre in true]
    assert np.mean(hit) > 0.9
    assert len(by_index(report)) >= 3


def test_what_a_file_says_of_its_pixels_is_believed():
    film = lumbar().radiograph
    high, wide = film.image.shape
    image = cv2.resize(np.array(film.image), (wide, round(0.7 * high)), interpolation=cv2.INTER_AREA)
    for stated in (Radiograph(image=image, spacing=film.spacing), Radiograph(image=image, aspect=1.05)):
        report = measurer().measure(stated)
        assert report.film.aspect == stated.pixel_rc[0] / stated.pixel_rc[1]
        assert "aspect" not in report.film.facts


def test_a_report_of_the_pipeline_survives_its_file():
    assert report_as_json(report_from_json(report_as_json(plain_report()))) == report_as_json(plain_report())


def test_every_body_has_a_value_or_a_reason():
    for body in plain_report().vertebrae:
        assert (body.percent is None) == isinstance(body.compression, NotMeasured)


def test_a_value_less_sure_than_the_settings_allow_is_withheld_with_its_reason():
    strict = Measurer(MeasureSettings(widest_points=0.01)).measure(lumbar().radiograph)
    assert by_index(strict) == {}
    told = [body.index for body in plain_report().vertebrae if body.percent is not None]
    assert told
    withheld = [strict.vertebrae[index - 1].compression for index in told]
    assert withheld == [NotMeasured(Reason.INTERVAL_TOO_WIDE)] * len(told)


def test_noise_is_not_measured():
    noise = np.random.default_rng(3).random((900, 700), dtype=np.float32)
    report = measurer().measure(Radiograph(image=noise))
    assert not report.quality.usable
    assert not by_index(report)


def on_its_head(radiograph: Radiograph) -> Radiograph:
    return replace(radiograph, image=np.ascontiguousarray(radiograph.image[::-1, ::-1]))


def test_a_film_on_its_head_is_measured_as_it_was_and_told_in_its_own_pixels():
    film = on_its_head(lumbar().radiograph)
    report, plain = measurer().measure(film), plain_report()
    assert report.head_down
    assert not plain.head_down
    assert "on its head" in report.film.facts["upright"]
    assert "upright" not in plain.film.facts
    assert report.facing is plain.facing.opposite
    assert [body.level for body in report.vertebrae] == [body.level for body in plain.vertebrae]
    assert by_index(report) == by_index(plain)
    far = np.array(film.image.shape) - 1.0
    for body, same in zip(report.vertebrae, plain.vertebrae, strict=True):
        np.testing.assert_allclose(body.points.points_rc, far - same.points.points_rc, atol=0.02)
        np.testing.assert_allclose(body.contour_rc, far - same.contour_rc, atol=0.02)
    assert report_as_json(report_from_json(report_as_json(report))) == report_as_json(report)


@pytest.mark.parametrize(
    ("order", "sacrum", "lateral"),
    [
        (-0.5, 0.0, True),
        (-2.0, 0.0, True),
        (-3.0, 0.0, False),
        (-3.0, 0.99, True),
        (-4.5, 0.99, False),
        (None, 0.0, True),
    ],
)
def test_bodies_that_do_not_follow_one_another_as_levels_do_are_no_lateral_spine(order, sacrum, lateral):
    film = lumbar().radiograph
    found = replace(measurer().segment(film), order_log_chance=order, sacrum_seen=sacrum)
    assert (Reason.NOT_A_LATERAL_SPINE not in film_reasons(film, found)) is lateral


def test_what_a_reader_says_of_a_film_on_its_head_is_of_the_film_as_stored_and_of_bodies_from_the_head():
    plain = plain_report()
    assert plain.vertebrae[1].level == "T10"
    pinned = MeasureSettings(facing=plain.facing.opposite, levels={2: "T11"})
    report = Measurer(pinned).measure(on_its_head(lumbar().radiograph))
    assert report.head_down
    assert report.facing is plain.facing.opposite
    assert report.vertebrae[1].level == "T11"
    assert by_index(report) == by_index(plain)


def test_a_squashed_film_on_its_head_is_restored_and_turned():
    image = np.array(lumbar().radiograph.image[::-1, ::-1])
    flat = cv2.resize(image, (image.shape[1], round(0.65 * image.shape[0])), interpolation=cv2.INTER_AREA)
    report = measurer().measure(Radiograph(image=flat))
    assert report.head_down
    assert report.film.aspect == pytest.approx(1 / 0.65, rel=0.12)
    assert [body.level for body in report.vertebrae] == [body.level for body in plain_report().vertebrae]


def test_with_force_a_film_is_taken_to_be_upright():
    report = Measurer(MeasureSettings(force=True)).measure(on_its_head(lumbar().radiograph))
    assert not report.head_down
    assert "upright" not in report.film.facts


def test_a_film_that_seems_to_stand_on_its_head_either_way_is_left_as_it_is(monkeypatch):
    own = Measurer()
    asked = []

    def head_down_always(film, **given):
        asked.append(given)
        return replace(found, on_its_head=not given.get("upright", False))

    found = own.segment(lumbar().radiograph)
    monkeypatch.setattr(own, "segment", head_down_always)
    report = own.measure(lumbar().radiograph)
    assert asked == [{}, {"turned": True}, {"upright": True}]
    assert not report.head_down
    assert by_index(report) == by_index(plain_report())


def test_a_refused_film_of_two_fronts_is_not_turned(monkeypatch):
    own = Measurer()
    found = own.segment(lumbar().radiograph)
    two_fronts = replace(
        found, on_its_head=True, order_log_chance=-5.0, sacrum_seen=0.0, facing_confidence=0.1
    )
    monkeypatch.setattr(own, "segment", lambda _, turned=False, **__: found if turned else two_fronts)
    report = own.measure(lumbar().radiograph)
    assert not report.head_down
    assert Reason.NOT_A_LATERAL_SPINE in report.quality.reasons


def on_its_side(radiograph: Radiograph, quarters: int) -> Radiograph:
    """Turn a film by 90 degrees against the clock, so often."""
    row_mm, col_mm = radiograph.spacing.rc
    return replace(
        radiograph,
        image=np.ascontiguousarray(np.rot90(radiograph.image, quarters)),
        spacing=replace(radiograph.spacing, row_mm=col_mm, col_mm=row_mm),
    )


def finer_rows() -> Radiograph:
    """Draw the film with rows that are half as high again as its columns are wide."""
    film = lumbar().radiograph
    rows, cols = film.image.shape
    image = np.clip(cv2.resize(film.image, (cols, round(rows / 1.5)), interpolation=cv2.INTER_AREA), 0, 1)
    return replace(film, image=image, spacing=replace(film.spacing, row_mm=1.5 * film.spacing.col_mm))


@pytest.mark.parametrize("squashed", [False, True])
@pytest.mark.parametrize(("quarters", "head"), [(1, Side.LEFT), (3, Side.RIGHT)])
def test_a_film_on_its_side_is_measured_as_head_up_and_told_in_its_own_pixels(quarters, head, squashed):
    upright = finer_rows() if squashed else lumbar().radiograph
    film = on_its_side(upright, quarters)
    plain, report = (measurer().measure(shown) for shown in (upright, film))
    assert (plain.head_side, report.head_side) == (Side.TOP, head)
    assert f"its head lies on the {head.value}" in report.film.facts["upright"]
    assert "upright" not in plain.film.facts
    assert report.facing is plain.facing is lumbar().truth.facing
    # The front of this film is on its right when its head is up.
    assert report.front_side is (Side.TOP if head is Side.LEFT else Side.BOTTOM)
    assert report.film.spacing_mm == plain.film.spacing_mm[::-1]
    assert by_index(report) == pytest.approx(by_index(plain), abs=0.02)
    for body, same in zip(report.vertebrae, plain.vertebrae, strict=True):
        assert (body.level, body.reasons) == (same.level, same.reasons)
        assert body.heights.anterior_mm == pytest.approx(same.heights.anterior_mm, rel=1e-3)
        row, col = same.points.points_rc.T
        lying = {1: (film.image.shape[0] - 1 - col, row), 3: (col, film.image.shape[1] - 1 - row)}[quarters]
        np.testing.assert_allclose(body.points.points_rc, np.stack(lying, axis=1), atol=0.02)
        spread, as_ever = (np.array(one.point_sd_xy) for one in (body, same))
        np.testing.assert_allclose(spread, as_ever[:, ::-1], atol=0.002)
    assert report_as_json(report_from_json(report_as_json(report))) == report_as_json(report)


def test_what_a_reader_says_of_a_film_on_its_side_is_of_the_film_head_up():
    plain = plain_report()
    pinned = MeasureSettings(facing=plain.facing, levels={2: "T11"})
    report = Measurer(pinned).measure(on_its_side(lumbar().radiograph, 1))
    assert (report.head_side, report.facing) == (Side.LEFT, plain.facing)
    assert report.vertebrae[1].level == "T11"
    assert by_index(report) == by_index(plain)


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("quarters", [1, 3])
def test_a_film_on_its_side_is_left_to_a_reader_where_levels_are_in_no_order_or_it_is_forced(
    monkeypatch, quarters, force
):
    image = np.ascontiguousarray(np.rot90(lumbar().radiograph.image, quarters))
    if not force:
        monkeypatch.setattr("vertebrometer.pipeline._surely_lateral", lambda found: False)
    report = Measurer(MeasureSettings(force=force)).measure(Radiograph(image=image))
    assert "upright" not in report.film.facts
    assert Reason.LIES_ON_ITS_SIDE in report.quality.reasons
    if not force:
        assert not report.quality.usable
        assert "turn it by 90 degrees" in report.quality.message
    assert Reason.LIES_ON_ITS_SIDE not in plain_report().quality.reasons


def test_bodies_that_lie_on_their_side_make_a_film_suspect_and_leaning_ones_do_not():
    film = lumbar().radiograph
    found = measurer().segment(film)
    middle = np.mean([body.points.centre_rc for body in found.vertebrae], axis=0)

    def turned(by_deg):
        angle = np.deg2rad(by_deg)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        bodies = [
            replace(body, points=SixPoints((body.points.points_rc - middle) @ turn.T + middle))
            for body in found.vertebrae
        ]
        return replace(found, vertebrae=tuple(bodies))

    assert [runs_across(film, turned(by_deg)) for by_deg in (0, 35, -35, 90, -90)] == [False] * 3 + [True] * 2
    assert not runs_across(film, replace(found, vertebrae=()))


UNTOLD = -1.1
"""How well bodies follow one another that may be seen from the side or from the front, as a logarithm."""


def spread_out(found, *, sharp, spread, confidence, faces, order=UNTOLD):
    """The same film with so many sharp bodies; the points of all others have this spread over the height."""
    bodies = []
    for number, body in enumerate(found.vertebrae):
        height = np.linalg.norm(body.points.points_rc[0] - body.points.points_rc[-1])
        sd = np.full((6, 2), height * (0.01 if number < sharp else spread))
        bodies.append(replace(body, point_sd_px=sd, confidence=confidence))
    return replace(found, vertebrae=tuple(bodies), facing_confidence=faces, order_log_chance=order)


@pytest.mark.parametrize(
    ("rows", "restored_confidence", "faces", "sacrum", "order", "measured"),
    [
        (0.7, 0.7, 1.0, 0.0, -1.1, False),
        (0.7, 0.95, 0.4, 0.0, -1.1, False),
        (0.7, 0.95, 1.0, 0.0, -1.1, True),
        # Levels in good order need not show more.
        (0.7, 0.7, 1.0, 0.0, -0.9, True),
        (0.7, 0.7, 0.4, 0.0, -0.9, False),
        # The more a film is restored, the better its bodies must follow one another.
        (0.7, 0.95, 1.0, 0.0, -1.6, True),
        (0.6, 0.95, 1.0, 0.0, -1.6, False),
        (0.6, 0.95, 1.0, 0.9, -1.6, True),
        (0.7, 0.95, 1.0, 0.0, None, False),
        # A sacrum makes levels in any order a spine, but not on a film that was refused as it is.
        (0.7, 0.95, 1.0, 0.9, -3.0, False),
        (0.7, 0.7, 1.0, 0.9, -1.1, True),
        (0.7, 0.61, 1.0, 0.9, -1.1, False),
    ],
)
def test_a_refused_film_is_restored_where_it_has_one_front_and_shows_more(
    monkeypatch, rows, restored_confidence, faces, sacrum, order, measured
):
    # Bodies as they are seen from the front: flat, doubted, none sharp; a little more is seen when stretched.
    found = measurer().segment(replace(lumbar().radiograph, spacing=None))
    flat = [replace(body, points=SixPoints(body.points.points_rc * (rows, 1.0))) for body in found.vertebrae]
    seen = replace(found, vertebrae=tuple(flat))
    unsharp = spread_out(seen, sharp=0, spread=0.06, confidence=0.6, faces=faces)
    sharp = spread_out(seen, sharp=9, spread=0.06, confidence=restored_confidence, faces=1.0)
    sharp = replace(sharp, sacrum_seen=sacrum, order_log_chance=order)
    own = Measurer()
    monkeypatch.setattr(own, "segment", lambda film, **_: unsharp if film.aspect == 1.0 else sharp)
    report = own.measure(Radiograph(image=lumbar().radiograph.image))
    assert report.quality.usable is measured
    assert (report.film.aspect != 1.0) is measured


@pytest.mark.parametrize(("bodies", "measured"), [(5, False), (6, True)])
def test_few_bodies_in_good_order_must_show_more_when_restored(monkeypatch, bodies, measured):
    found = measurer().segment(replace(lumbar().radiograph, spacing=None))
    found = replace(found, vertebrae=found.vertebrae[:bodies], sacrum_seen=0.0)
    flat = [replace(body, points=SixPoints(body.points.points_rc * (0.7, 1.0))) for body in found.vertebrae]
    seen = replace(found, vertebrae=tuple(flat))
    unsharp = spread_out(seen, sharp=0, spread=0.06, confidence=0.6, faces=1.0)
    sharp = spread_out(seen, sharp=9, spread=0.06, confidence=0.7, faces=1.0, order=-0.9)
    own = Measurer()
    monkeypatch.setattr(own, "segment", lambda film, **_: unsharp if film.aspect == 1.0 else sharp)
    assert own.measure(Radiograph(image=lumbar().radiograph.image)).quality.usable is measured


@pytest.mark.parametrize("doubted", [False, True])
@pytest.mark.parametrize(
    ("bodies", "order", "measured"), [(3, -1.0, False), (6, -1.8, False), (6, -1.0, True)]
)
def test_where_hardly_a_body_is_found_a_film_must_show_many_in_order_when_restored(
    monkeypatch, bodies, order, measured, doubted
):
    found = measurer().segment(replace(lumbar().radiograph, spacing=None))
    flat = [replace(body, points=SixPoints(body.points.points_rc * (0.6, 1.0))) for body in found.vertebrae]
    seen = spread_out(replace(found, vertebrae=tuple(flat)), sharp=9, spread=0.01, confidence=0.95, faces=1.0)
    seen = replace(seen, vertebrae=seen.vertebrae[:bodies], order_log_chance=order)
    nothing = replace(found, vertebrae=(), facing_confidence=1.0)
    if doubted:
        # Two that are half seen, with usual proportions, among others that are hardly seen: no witnesses.
        hardly = spread_out(found, sharp=0, spread=0.1, confidence=0.1, faces=1.0)
        usual = 0.83 / proportion(found.vertebrae)
        half = [
            replace(body, confidence=0.42, points=SixPoints(body.points.points_rc * (usual, 1.0)))
            for body in hardly.vertebrae[:2]
        ]
        nothing = replace(hardly, vertebrae=(*half, *hardly.vertebrae[2:]))
    asked = []

    def hidden_as_it_is(film, **_):
        asked.append(film.aspect)
        return seen if film.aspect > 1.0 else nothing

    own = Measurer()
    monkeypatch.setattr(own, "segment", hidden_as_it_is)
    report = own.measure(Radiograph(image=lumbar().radiograph.image))
    assert report.quality.usable is measured
    # The guess, then what the bodies ask for then; the other guess where that was no spine.
    assert asked[1] == 1.5
    assert asked[2] == pytest.approx(1 / 0.6, rel=0.1)
    assert (1 / 1.5 in asked) is not measured


def test_pixels_are_mended_until_bodies_agree_and_no_longer(monkeypatch):
    found = measurer().segment(replace(lumbar().radiograph, spacing=None))

    def squashed_to(rows):
        flat = [
            replace(body, points=SixPoints(body.points.points_rc * (rows, 1.0))) for body in found.vertebrae
        ]
        return spread_out(
            replace(found, vertebrae=tuple(flat)), sharp=9, spread=0.01, confidence=0.9, faces=1.0
        )

    asked = []

    def ever_flatter(film, **_):
        asked.append(film.aspect)
        return squashed_to(0.75 / film.aspect)

    own = Measurer()
    monkeypatch.setattr(own, "segment", ever_flatter)
    own.measure(Radiograph(image=lumbar().radiograph.image))
    assert len(asked) == 4
    assert asked == sorted(asked)


@pytest.mark.parametrize(("faces", "measured"), [(1.0, True), (0.3, False)])
def test_a_film_that_would_be_refused_with_its_usual_proportions_is_so_only_where_its_front_is_not_clear_then(
    monkeypatch, faces, measured
):
    found = measurer().segment(replace(lumbar().radiograph, spacing=None))
    flat = [replace(body, points=SixPoints(body.points.points_rc * (0.7, 1.0))) for body in found.vertebrae]
    seen = spread_out(replace(found, vertebrae=tuple(flat)), sharp=9, spread=0.01, confidence=0.9, faces=1.0)
    other = spread_out(found, sharp=9, spread=0.01, confidence=0.95, faces=faces)
    other = replace(other, order_log_chance=-5.0, sacrum_seen=0.0)
    image = lumbar().radiograph.image
    nothing = replace(found, vertebrae=(), facing_confidence=1.0)

    def shown(film, **_):
        lies = film.image.shape != image.shape
        return nothing if lies else seen if film.aspect == 1.0 else other

    own = Measurer()
    monkeypatch.setattr(own, "segment", shown)
    assert own.measure(Radiograph(image=image)).quality.usable is measured


@pytest.mark.parametrize(
    ("sharp", "spread", "confidence", "faces", "lateral"),
    [
        (0, 0.02, 0.6, 1.0, True),
        (0, 0.05, 0.6, 1.0, False),
        (1, 0.05, 0.6, 1.0, False),
        (2, 0.09, 0.6, 1.0, True),
        (0, 0.05, 0.9, 1.0, True),
        (1, 0.09, 0.9, 1.0, False),
        (9, 0.09, 0.3, 1.0, False),
        (0, 0.04, 0.9, 0.7, False),
        (2, 0.04, 0.9, 0.7, True),
    ],
)
def test_a_film_whose_bodies_are_all_unsharp_is_no_lateral_film(sharp, spread, confidence, faces, lateral):
    film = lumbar().radiograph
    found = measurer().segment(film)
    seen = spread_out(found, sharp=sharp, spread=spread, confidence=confidence, faces=faces)
    assert (Reason.NOT_A_LATERAL_SPINE not in film_reasons(film, seen)) == lateral


@pytest.mark.parametrize(
    ("order", "confidence", "faces", "bodies", "lateral"),
    [
        (-0.8, 0.6, 1.0, 5, True),
        (-1.2, 0.6, 1.0, 5, False),
        (None, 0.6, 1.0, 5, False),
        (-0.8, 0.6, 0.7, 5, False),
        (-0.8, 0.3, 1.0, 5, False),
        (-0.8, 0.6, 1.0, 3, False),
    ],
)
def test_a_dim_film_is_lateral_where_enough_bodies_have_one_front_and_follow_one_another_as_levels_do(
    order, confidence, faces, bodies, lateral
):
    film = lumbar().radiograph
    seen = spread_out(
        measurer().segment(film), sharp=0, spread=0.09, confidence=confidence, faces=faces, order=order
    )
    seen = replace(seen, vertebrae=seen.vertebrae[:bodies], sacrum_seen=0.0)
    assert (Reason.NOT_A_LATERAL_SPINE not in film_reasons(film, seen)) is lateral


@pytest.mark.parametrize(
    ("order", "sacrum", "spread", "lateral"),
    [
        (-1.1, 0.0, 0.05, True),
        (-1.3, 0.0, 0.05, False),
        (-1.3, 0.0, 0.04, True),
        (-1.3, 0.99, 0.05, True),
    ],
)
def test_bodies_in_poor_order_must_be_sharper_unless_a_sacrum_follows(order, sacrum, spread, lateral):
    film = lumbar().radiograph
    seen = spread_out(
        measurer().segment(film), sharp=0, spread=spread, confidence=0.9, faces=1.0, order=order
    )
    assert (
        Reason.NOT_A_LATERAL_SPINE not in film_reasons(film, replace(seen, sacrum_seen=sacrum))
    ) is lateral


def test_a_film_of_the_neck_is_refused_and_one_that_shows_some_of_it_is_not():
    film = lumbar().radiograph
    found = measurer().segment(film)
    assert found.neck_share < 0.05
    whole_spine, neck = (replace(found, neck_share=share) for share in (7 / 24, 5 / 6))
    assert Reason.CERVICAL_SPINE not in film_reasons(film, whole_spine)
    assert Reason.CERVICAL_SPINE in film_reasons(film, neck)


def test_noise_does_not_lie_on_its_side():
    noise = np.random.default_rng(3).random((900, 700), dtype=np.float32)
    assert Reason.LIES_ON_ITS_SIDE not in measurer().measure(Radiograph(image=noise)).quality.reasons


def test_a_pinned_name_moves_all_names():
    pinned = Measurer(MeasureSettings(levels={1: "T8"})).measure(lumbar().radiograph)
    assert [body.level for body in pinned.vertebrae][:3] == ["T8", "T9", "T10"]


def test_a_name_for_a_body_that_was_not_found_is_refused():
    with pytest.raises(SettingsError, match=f"but {len(plain_report().vertebrae)} bodies were found"):
        Measurer(MeasureSettings(levels={40: "L1"})).measure(lumbar().radiograph)


@pytest.mark.parametrize("said", [ASSUMED_POLARITY, STATED_POLARITY])
def test_a_negative_is_measured_as_one_also_against_what_its_file_states(said):
    film = lumbar().radiograph
    negative = replace(film, image=1 - film.image, facts={"polarity": said})
    report = measurer().measure(negative)
    assert by_index(report) == pytest.approx(by_index(plain_report()), abs=0.05)
    assert "found from the vertebral bodies" in report.film.facts["polarity"]
    assert ("against what the file states" in report.film.facts["polarity"]) is (said == STATED_POLARITY)


def test_what_a_reader_says_of_the_polarity_stands():
    film = lumbar().radiograph
    negative = replace(film, image=1 - film.image, facts={"polarity": "bone-bright, given by the user"})
    assert not measurer().measure(negative).quality.usable


def test_a_body_filled_with_cement_is_flagged_and_no_body_is_compared_with_it():
    example = Path(__file__).parents[1] / "examples" / "films" / "phantom-0003.dcm"
    bodies = measurer().measure(read_radiograph(example)).vertebrae
    assert [body.index for body in bodies if Reason.CEMENT in body.reasons] == [8]
    assert bodies[6].compression == NotMeasured(Reason.NEIGHBOUR_UNUSABLE)


def test_a_reader_who_gives_the_wrong_side_is_told_so_and_obeyed_only_with_force():
    own = plain_report().facing
    rightly, wrongly, insisting = (
        Measurer(MeasureSettings(facing=facing, force=force)).measure(lumbar().radiograph)
        for facing, force in ((own, False), (own.opposite, False), (own.opposite, True))
    )
    assert by_index(rightly) == by_index(plain_report())
    assert "facing_contradicted" in wrongly.quality.reasons
    assert by_index(wrongly) == {}
    assert "facing_contradicted" in insisting.quality.overruled
    assert {body.certainty.value for body in insisting.vertebrae} == {"doubtful"}
    assert by_index(insisting)


@pytest.mark.parametrize(("spacing_mm", "fits"), [(0.03, False), (0.22, True), (0.4, True), (3.0, False)])
def test_a_spacing_that_no_spine_fits_is_remarked_and_compressions_are_told(spacing_mm, fits):
    spacing = PixelSpacing(spacing_mm, spacing_mm, SpacingSource.USER)
    report = measurer().measure(replace(lumbar().radiograph, spacing=spacing))
    assert ("implausible_spacing" not in report.quality.reasons) is fits
    assert report.quality.usable
    assert len(by_index(report)) == len(by_index(plain_report()))


@pytest.mark.parametrize("levels", [{0: "L1"}, {3: "Q7"}])
def test_settings_count_bodies_from_one_and_know_levels(levels):
    with pytest.raises(SettingsError, match="from 1 at the top"):
        MeasureSettings(levels=levels)


def test_a_film_that_shows_no_spine_is_refused_for_that_whatever_a_reader_calls_its_bodies():
    noise = np.random.default_rng(3).random((900, 700), dtype=np.float32)
    report = Measurer(MeasureSettings(levels={40: "L1"})).measure(Radiograph(image=noise))
    assert not report.quality.usable


def test_a_film_may_be_pinned_where_as_stored_it_shows_fewer_bodies_than_when_it_is_measured():
    image = np.array(phantom_of(7, field="lumbar").radiograph.image)
    squashed = Radiograph(image=cv2.resize(image, None, fx=1, fy=0.45, interpolation=cv2.INTER_AREA))
    last = len(measurer().measure(squashed).vertebrae)
    assert 0 < len(measurer().segment(squashed).vertebrae) < last
    report = Measurer(MeasureSettings(levels={last: "L4"})).measure(squashed)
    assert report.vertebrae[last - 1].level == "L4"


def test_weights_of_ones_own_may_do_without_the_close_look_and_the_report_says_so(tmp_path):
    for name in ("coarse.onnx", "points.onnx"):
        shutil.copy(WEIGHTS_FOLDER / name, tmp_path / name)
    write_manifest(tmp_path)
    report = Measurer(weights=tmp_path).measure(lumbar().radiograph)
    assert [model.name for model in report.models] == ["coarse", "points"]
    assert [model.name for model in plain_report().models] == ["coarse", "points", "corners"]
    # The points move by a fraction of a body, no more.
    pairs = zip(report.vertebrae, plain_report().vertebrae, strict=True)
    moved = [np.abs(one.corners_rc - other.corners_rc).max() for one, other in pairs]
    assert 0 < np.median(moved) < 0.1 * 34 / 0.3
