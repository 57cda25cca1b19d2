"""Facts about the spine before it is a film: heights, outlines, fractures, how bodies stand on each other."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vertebrometer.errors import UnknownNameError
from vertebrometer.geometry import polygon_area
from vertebrometer.morphometry import heights
from vertebrometer.phantom import NORMS, BodyShape, Fracture, draw_phantom, fractured, stack

# Mean ratios of 100 chest CTs as measured by experts, see docs/concepts/phantoms.md.
MEASURED = {
    "T4": (0.926, 0.842),
    "T7": (0.856, 0.827),
    "T10": (0.934, 0.857),
    "T12": (0.893, 0.845),
    "L1": (0.910, 0.843),
}
# Distance of centres in mm, in CT of about 2,000 spines.
SPACING_MM = {
    "T4": 21.6,
    "T7": 23.3,
    "T10": 27.3,
    "T12": 32.3,
    "L1": 34.5,
    "L2": 35.8,
    "L3": 36.5,
    "L4": 36.3,
}


@pytest.fixture(scope="module")
def drawn():
    return [draw_phantom(np.random.default_rng([n, 5])) for n in range(250)]


@pytest.fixture(scope="module")
def spines(drawn):
    return [
        stack(list(s.bodies), sacral_slope_deg=s.sacral_slope_deg, compensation=s.compensation) for s in drawn
    ]


def one(**given):
    norm = NORMS["L1"]
    sizes = {
        "level": "L1",
        "anterior_mm": norm.anterior_mm,
        "middle_mm": norm.middle_mm,
        "posterior_mm": norm.posterior_mm,
        "superior_depth_mm": norm.depth_mm,
        "inferior_depth_mm": norm.depth_mm + 1,
        "width_mm": norm.width_mm,
    }
    return BodyShape(**(sizes | given))


def placed(shape):
    return stack([shape], sacral_slope_deg=-35.0).bodies[0]


def distance_to_outline(point, outline):
    a, b = outline, np.roll(outline, -1, axis=0)
    along = b - a
    t = np.clip(((point - a) * along).sum(axis=1) / np.maximum((along**2).sum(axis=1), 1e-12), 0, 1)
    return float(np.linalg.norm(a + t[:, None] * along - point, axis=1).min())


shapes = st.builds(
    lambda ha, dip, hp, share, skew, waist, ripple, seed: one(
        anterior_mm=ha,
        posterior_mm=hp,
        middle_mm=(ha + hp) / 2 - dip,
        superior_share=share,
        concavity_skew=skew,
        waist=waist,
        ripple_mm=ripple,
        ripple_seed=seed,
    ),
    st.floats(10, 32), st.floats(0, 5), st.floats(18, 32), st.floats(0.3, 0.9), st.floats(-1, 1),
    st.floats(0, 0.14), st.floats(0, 1), st.integers(0, 1000),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(shape=shapes)
def test_the_six_points_lie_on_the_outline(shape):
    body = placed(shape)
    outline = body.outline_mm()
    for point in body.six_points_mm().points_rc:
        assert distance_to_outline(point, outline) < 1e-9


@settings(max_examples=60, deadline=None)
@given(shape=shapes)
def test_mid_endplate_points_lie_half_way_between_the_corners(shape):
    points = placed(shape).six_points_mm()
    sa, sm, sp, ip, im, ia = points.points_rc
    for first, middle, second in ((sa, sm, sp), (ia, im, ip)):
        # Half-way along the depth of the body, wherever the endplate dips to.
        depth = ((sp + ip) - (sa + ia)) / 2
        assert (middle - (first + second) / 2) @ depth == pytest.approx(0, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(shape=shapes)
def test_the_true_points_have_the_heights_of_the_shape(shape):
    found = heights(placed(shape).six_points_mm())
    difference = (shape.superior_depth_mm - shape.inferior_depth_mm) / 2
    assert found.middle_px == pytest.approx(shape.middle_mm)
    # Corners stand a little ahead of each other where the endplates differ in depth.
    assert found.anterior_px == pytest.approx(np.hypot(shape.anterior_mm, difference))
    assert found.posterior_px == pytest.approx(np.hypot(shape.posterior_mm, difference))


def test_spurs_do_not_belong_to_the_true_outline():
    bare, spurred = one(), one(osteophytes_mm=(6.0, 0.0, 0.0, 6.0))
    assert np.array_equal(placed(bare).outline_mm(), placed(spurred).outline_mm())


@pytest.mark.parametrize("loss", [0.0, 0.1, 0.2, 0.4, 0.6])
def test_a_wedge_loses_what_it_is_told_to_lose_in_front(loss):
    broken = fractured(one(), Fracture("wedge", loss, posterior_share=0.1))
    assert broken.anterior_mm == pytest.approx(one().anterior_mm * (1 - loss))
    assert broken.posterior_mm == pytest.approx(one().posterior_mm * (1 - 0.1 * loss))
    assert broken.fracture == "wedge"


@pytest.mark.parametrize("loss", [0.2, 0.6])
def test_each_kind_of_fracture_loses_its_own_height(loss):
    intact = one()
    bowed, crushed = (fractured(intact, Fracture(kind, loss)) for kind in ("biconcave", "crush"))
    lost = {
        kind: [
            1 - getattr(body, f"{place}_mm") / getattr(intact, f"{place}_mm")
            for place in ("anterior", "middle", "posterior")
        ]
        for kind, body in (("biconcave", bowed), ("crush", crushed))
    }
    assert lost["biconcave"][1] == pytest.approx(loss)
    assert max(lost["biconcave"][0], lost["biconcave"][2]) < 0.3 * loss
    assert lost["crush"] == pytest.approx([loss, loss, 0.8 * loss])


def test_unknown_fractures_and_impossible_losses_are_refused():
    with pytest.raises(UnknownNameError, match="biconcave"):
        Fracture("squashed", 0.2)
    with pytest.raises(ValueError, match="below 1"):
        Fracture("wedge", 1.0)
    with pytest.raises(ValueError, match="above 0"):
        one(anterior_mm=0.0)


def test_drawn_heights_lie_near_the_measured_ones(drawn):
    for level, (anterior, middle) in MEASURED.items():
        bodies = [b for s in drawn for b in s.bodies if b.level == level and b.fracture == "none"]
        assert np.mean([b.anterior_mm / b.posterior_mm for b in bodies]) == pytest.approx(anterior, abs=0.02)
        assert np.mean([b.middle_mm / b.posterior_mm for b in bodies]) == pytest.approx(middle, abs=0.025)
        assert 1.2 < np.std([b.posterior_mm for b in bodies]) < 2.9


def test_drawn_bodies_are_as_tall_as_published(drawn):
    for level, norm in NORMS.items():
        found = [b.posterior_mm for s in drawn for b in s.bodies if b.level == level and b.fracture == "none"]
        if len(found) > 100:
            assert np.mean(found) == pytest.approx(norm.posterior_mm, rel=0.02)


def test_centres_stand_as_far_apart_as_measured(spines):
    found = {level: [] for level in SPACING_MM}
    for spine in spines:
        for upper, lower in pairwise(spine.bodies):
            if upper.shape.level in found and "none" == upper.shape.fracture == lower.shape.fracture:
                found[upper.shape.level].append(np.linalg.norm(lower.centre_mm - upper.centre_mm))
    for level, wanted in SPACING_MM.items():
        assert np.mean(found[level]) == pytest.approx(wanted, rel=0.07), level


def test_curvature_is_that_of_standing_people(spines):
    intact = [s for s in spines if all(b.shape.fracture == "none" for b in s.bodies)]
    axis = [{b.shape.level: b.axis_deg for b in s.bodies} | {"S1": s.sacrum_axis_deg} for s in intact]
    lordosis = [a["T12"] - a["S1"] for a in axis]
    kyphosis = [a["T12"] - a["T1"] for a in axis]
    assert 38 < np.mean(lordosis) < 61  # 49.8 (SD 11.2), PMC6680033
    assert 28 < np.mean(kyphosis) < 52  # 39.6 (SD 11.6), CT of 109 people
    assert 5 < np.std(lordosis) < 16


def test_bodies_never_run_into_each_other(spines):
    for spine in spines:
        for upper, lower in pairwise(spine.bodies):
            down = np.array([np.cos(a := np.deg2rad((upper.axis_deg + lower.axis_deg) / 2)), -np.sin(a)])
            above, below = upper.six_points_mm().points_rc, lower.six_points_mm().points_rc
            gaps = [(below[top] - above[bottom]) @ down for top, bottom in ((0, 5), (1, 4), (2, 3))]
            assert min(gaps) > 0.5


def test_no_outline_crosses_itself(drawn):
    for shape in (b for s in drawn[:60] for b in s.bodies):
        outline = placed(shape).outline_mm()
        a, b = outline, np.roll(outline, -1, axis=0)

        def side(first, second, third):
            u, v = second - first, third - first
            return u[..., 0] * v[..., 1] - u[..., 1] * v[..., 0]

        crossing = (side(a[:, None], b[:, None], a) * side(a[:, None], b[:, None], b) < -1e-9) & (
            side(a, b, a[:, None]) * side(a, b, b[:, None]) < -1e-9
        )
        assert not crossing.any(), shape.level
        assert polygon_area(outline) > 30


def test_fractures_range_from_slight_to_sixty_percent_and_come_in_groups(drawn):
    broken = [[b for b in s.bodies if b.fracture != "none"] for s in drawn]
    assert {b.fracture for group in broken for b in group} == {"wedge", "biconcave", "crush"}
    assert 0.65 < np.mean([bool(group) for group in broken]) < 0.85
    assert max(map(len, broken)) >= 3
    loss = [
        1 - b.anterior_mm / NORMS[b.level].anterior_mm for g in broken for b in g if b.fracture == "wedge"
    ]
    assert min(loss) < 0.1
    assert 0.5 < max(loss) < 0.75


def test_variants_of_the_count_occur(drawn):
    names = [{b.level for b in s.bodies} for s in drawn]
    assert any("L6" in n for n in names)
    assert any("T13" in n for n in names)
    assert any("L5" not in n for n in names)
    assert sum("L5" in n and "L6" not in n and "T13" not in n for n in names) > 0.8 * len(names)


def test_the_spine_above_a_wedge_leans_forward():
    norms = [one(level=level) for level in ("T12", "L1", "L2")]
    straight = stack(norms, sacral_slope_deg=0.0)
    norms[1] = fractured(norms[1], Fracture("wedge", 0.4))
    bent = stack(norms, sacral_slope_deg=0.0, compensation=0.0)
    assert bent.bodies[0].axis_deg < straight.bodies[0].axis_deg - 8
