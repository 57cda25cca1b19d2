import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.spines import body, spine
from vertebrometer.anatomy import BodyTruth, Facing, FilmTruth, Reason, SixPoints
from vertebrometer.compression import Compression, Definition, compressions
from vertebrometer.evaluation import (
    Confusion,
    as_markdown,
    bootstrap,
    evaluate_reports,
    overlap,
    polygon_mask,
    polygons_mask,
    score_film,
    true_compressions,
)
from vertebrometer.geometry import polygon_area
from vertebrometer.report import FilmFacts, measured_report

NAMES = ["T11", "T12", "L1", "L2", "L3"]
HEIGHTS = [28, 29, 20, 30, 31]


def truth_of(vertebrae, names=NAMES, file="film.png"):
    bodies = tuple(
        BodyTruth(level=name, points=v.points, contour_rc=v.points.corners_rc)
        for name, v in zip(names, vertebrae, strict=True)
    )
    return FilmTruth(file=file, shape=(400, 300), bodies=bodies, facing=Facing.RIGHT)


def report_of(vertebrae):
    film = FilmFacts(file="film.png", rows=400, cols=300)
    return measured_report(vertebrae, film=film, facing=Facing.RIGHT, facing_confidence=1.0)


def named(vertebrae, names=NAMES):
    return [replace(v, level=name, level_confidence=1.0) for v, name in zip(vertebrae, names, strict=True)]


SPINE = spine(*HEIGHTS)
TRUTH = truth_of(SPINE)


def test_a_square_covers_the_pixels_whose_centres_it_holds():
    square = np.array([[1.5, 1.5], [1.5, 4.5], [3.5, 4.5], [3.5, 1.5]])
    mask = polygon_mask(square, (6, 6))
    assert mask.sum() == 6
    assert mask[2:4, 2:5].all()


@given(
    turn=st.floats(0, np.pi),
    side=st.floats(20, 60),
    centre=st.tuples(st.floats(60, 120), st.floats(60, 120)),
)
def test_a_mask_is_as_large_as_its_polygon(turn, side, centre):
    corners = side / 2 * np.array([[-1, -1], [-1, 1], [1, 1], [1, -1]])
    rotate = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    polygon = corners @ rotate.T + centre
    # A level square holds at most side + 1 pixel centres along each side.
    area = polygon_area(polygon)
    assert polygon_mask(polygon, (200, 200)).sum() == pytest.approx(area, abs=2 * side + 1)


def test_what_lies_outside_the_image_is_cut_off():
    assert polygon_mask(np.array([[-10.0, -10], [-10, 50], [50, 50], [50, -10]]), (5, 7)).all()
    assert not polygon_mask(np.array([[10.0, 10], [10, 20], [20, 20], [20, 10]]), (5, 7)).any()


def test_a_mask_made_smaller_keeps_its_share_of_the_image():
    polygon = np.array([[99.5, 99.5], [99.5, 299.5], [199.5, 299.5], [199.5, 99.5]])
    assert polygons_mask([polygon], (400, 400), 0.25).mean() == pytest.approx(20000 / 160000)


@pytest.mark.parametrize(("shift", "expected"), [(0, 1.0), (10, 30 / 50), (40, 0.0), (200, 0.0)])
def test_overlap_of_shifted_squares(shift, expected):
    square = np.array([[0.0, 0], [0, 40], [40, 40], [40, 0]])
    assert overlap(square, square + np.array([shift, 0])) == pytest.approx(expected, abs=0.01)


def test_pixels_follow_equations_two_to_five():
    counts = Confusion(true_positive=80, false_positive=10, false_negative=20, true_negative=890)
    assert (counts.sensitivity, counts.specificity) == pytest.approx((0.8, 890 / 900))
    assert (counts.accuracy, counts.dice) == pytest.approx((0.97, 160 / 190))


def test_masks_without_anything_have_no_dice():
    empty = np.zeros((4, 4), dtype=bool)
    assert Confusion.of(empty, empty).dice is None
    assert Confusion.of(empty, ~empty).dice == 0.0


def test_truth_and_measurement_agree_on_equation_one():
    measured = [result[Definition.ADJACENT_MEAN] for result in compressions(SPINE)]
    expected = [m.percent if isinstance(m, Compression) else None for m in measured]
    assert true_compressions(TRUTH.bodies) == pytest.approx(expected)


def test_where_an_annotator_left_a_body_out_nothing_is_known():
    gap = truth_of(SPINE, ["T9", "T10", "T12", "L1", "L2"])
    assert [value is None for value in true_compressions(gap.bodies)] == [True, True, True, False, True]


def test_a_film_measured_rightly_has_no_errors():
    score = score_film(TRUTH, report_of(named(SPINE)))
    assert (score.bodies, score.found, score.false, score.measurable) == (5, 5, 0, 3)
    assert [pair.measured - pair.true for pair in score.pairs] == pytest.approx([0, 0, 0], abs=0.01)
    assert score.pixels.dice == 1.0
    assert score.levels_right == (True,) * 5
    assert max(score.corner_errors_percent) == 0.0


def test_a_film_without_a_report_counts_as_nothing_found():
    score = score_film(TRUTH, None)
    assert (score.bodies, score.found, score.pixels.dice, score.pairs) == (5, 0, 0.0, ())


def test_a_body_found_where_there_is_none_is_false():
    beside = score_film(TRUTH, report_of([*SPINE[:4], body(170, 25, left=200)]))
    assert (beside.found, beside.false) == (4, 1)
    between = score_film(TRUTH, report_of([*SPINE[:2], body(100, 25, left=200), *SPINE[2:]]))
    assert (between.found, between.false) == (5, 1)


def test_bodies_beyond_the_annotated_ones_are_no_errors():
    score = score_film(TRUTH, report_of([*SPINE, body(240, 30)]))
    assert (score.false, score.pixels.false_positive) == (0, 0)


def test_a_film_on_its_side_is_judged_as_it_is_upright():
    found = [*SPINE[:2], body(100, 25, left=200), *SPINE[3:], body(240, 30)]
    upright = score_film(TRUTH, report_of(found))
    lying_truth = replace(truth_of([lying(one) for one in SPINE]), shape=(300, 400))
    score = score_film(lying_truth, report_of([lying(one) for one in found]))
    assert (
        (score.bodies, score.found, score.false)
        == (upright.bodies, upright.found, upright.false)
        == (5, 4, 1)
    )
    assert score.pixels.dice == pytest.approx(upright.pixels.dice, abs=0.002)


def lying(vertebra):
    """Turn a body as `numpy.rot90` turns a film of 300 columns."""
    row, col = vertebra.points.points_rc.T
    points = SixPoints(np.stack([299 - col, row], axis=1))
    return replace(vertebra, points=points, contour_rc=points.corners_rc)


def test_only_the_levels_that_were_asked_for_count():
    score = score_film(TRUTH, report_of(SPINE), first="T12", last="L2")
    assert (score.bodies, score.measurable) == (3, 3)


def test_corner_errors_are_in_percent_of_the_height():
    shifted = [
        replace(v, points=type(v.points)(v.points.points_rc + np.array([3.0, 0.0])))
        for v in spine(30, 30, 30)
    ]
    truth = truth_of(spine(30, 30, 30), ["L1", "L2", "L3"])
    assert score_film(truth, report_of(shifted)).corner_errors_percent == pytest.approx([10.0] * 12)


def films_of(noise, count=12, seed=3):
    rng = np.random.default_rng(seed)
    truths, reports = [], {}
    for n in range(count):
        heights = rng.uniform(12, 32, 6)
        bodies = spine(*heights)
        truths.append(truth_of(bodies, ["T11", "T12", "L1", "L2", "L3", "L4"], file=f"film-{n}.png"))
        seen = [
            replace(
                v,
                points=type(v.points)(v.points.points_rc + rng.normal(0, noise, (6, 2))),
                point_sd_px=np.full((6, 2), noise),
            )
            for v in bodies
        ]
        reports[f"film-{n}"] = report_of(seen)
    return truths, reports


def test_films_measured_rightly_score_full_marks():
    evaluation = evaluate_reports(*reversed(films_of(0.0)), repeats=50)
    assert (evaluation.film_yield_percent, evaluation.body_recall_percent.value) == (100.0, 100.0)
    assert evaluation.errors["all"].mae.value == pytest.approx(0, abs=0.01)
    assert evaluation.errors["all"].icc_2_1.value == pytest.approx(1.0, abs=1e-4)
    assert evaluation.auroc_fractured.value == 1.0


def test_noise_shows_in_every_figure_and_intervals_hold_nine_of_ten():
    truths, reports = films_of(0.6, count=60)
    evaluation = evaluate_reports(reports, truths, repeats=200)
    errors = evaluation.errors["all"]
    assert errors.mae.low < errors.mae.value < errors.mae.high
    assert errors.rmse.value == pytest.approx(np.sqrt(errors.mse))
    assert errors.limits.lower.value < 0 < errors.limits.upper.value
    assert evaluation.intervals["all"].coverage_percent == pytest.approx(90, abs=5)


def test_leaving_out_what_is_least_sure_pays_where_intervals_tell_large_errors():
    calm, wild = films_of(0.3, count=30), films_of(2.0, count=6, seed=9)
    truths = [*calm[0], *(replace(truth, file=f"wild-{n}.png") for n, truth in enumerate(wild[0]))]
    reports = calm[1] | {f"wild-{n}": report for n, report in enumerate(wild[1].values())}
    fall = evaluate_reports(reports, truths, repeats=50).least_sure_dropped
    assert fall.value > 25
    assert fall.low <= fall.value <= fall.high
    even = evaluate_reports(calm[1], calm[0], repeats=50).least_sure_dropped
    assert even.value < fall.value / 2


def test_bands_part_the_bodies_among_them():
    truths, reports = films_of(0.3)
    errors = evaluate_reports(reports, truths, repeats=20).errors
    bands = [
        errors[name].n for name in ("below 10 %", "10 to 20 %", "20 to 40 %", "from 40 %") if errors[name]
    ]
    assert sum(bands) == errors["all"].n
    assert errors["fractured"].n == sum(
        errors[name].n for name in ("20 to 40 %", "from 40 %") if errors[name]
    )


def test_the_same_seed_gives_the_same_intervals():
    truths, reports = films_of(0.3)
    first, second = (evaluate_reports(reports, truths, repeats=50, seed=4).to_dict() for _ in range(2))
    assert first == second


def test_refused_bodies_lower_the_yield_and_not_the_error():
    truths, reports = films_of(0.0)
    for stem, report in reports.items():
        bodies = [found.as_vertebra() for found in report.vertebrae]
        reports[stem] = report_of([bodies[0].with_reason(Reason.METALWORK), *bodies[1:]])
    evaluation = evaluate_reports(reports, truths, repeats=20)
    assert evaluation.body_yield_percent == pytest.approx(75.0)
    assert evaluation.errors["all"].mae.value == pytest.approx(0, abs=0.01)


def test_films_without_any_report_give_dashes_and_no_numbers():
    truths, _ = films_of(0.0, count=3)
    evaluation = evaluate_reports({}, truths, repeats=20)
    assert (evaluation.film_yield_percent, evaluation.errors["all"], evaluation.auroc_fractured) == (
        0.0,
        None,
        None,
    )
    assert "| all | 0 | - |" in as_markdown(evaluation)


def test_an_evaluation_is_ready_for_json_and_for_markdown():
    truths, reports = films_of(0.4)
    seen = [found.as_vertebra() for found in reports["film-0"].vertebrae]
    reports["film-0"] = report_of([*seen[:2], body(100, 25, left=400), *seen[2:]])
    evaluation = evaluate_reports(reports, truths, repeats=20)
    assert json.loads(json.dumps(evaluation.to_dict()))["errors"]["all"]["n"] == evaluation.errors["all"].n
    widths = {
        line.count("|")
        for line in as_markdown(evaluation).splitlines()
        if line.startswith("| fractured") or "MAE" in line
    }
    assert len(widths) == 1


def test_no_films_cannot_be_evaluated():
    with pytest.raises(ValueError, match="at least one film"):
        evaluate_reports({}, [])


def test_drawing_whole_films_widens_an_interval_when_bodies_of_a_film_err_together():
    rng = np.random.default_rng(0)
    shared = [np.full((8, 1), value) for value in rng.normal(0, 1, 20)]
    alone = [np.array([[value]]) for group in shared for value in group[:, 0]]

    def width(groups):
        draws = np.random.default_rng(1).integers(0, len(groups), (400, len(groups)))
        low, high = bootstrap(groups, draws, lambda rows: float(rows.mean()))
        return high - low

    assert width(shared) > 2 * width(alone)
