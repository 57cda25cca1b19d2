import numpy as np
import pytest

from tests.projection.conftest import BODY_MM, FIRST_ROW_MM, FRONT_MM, PITCH_MM, box_spine
from vertebrometer.anatomy import LEVELS
from vertebrometer.phantom import draw_phantom
from vertebrometer.phantom.spine import local_six_points, section_outline
from vertebrometer.projection.bodies import ARCH, even_outline, sections_of, without_spurs
from vertebrometer.projection.volumes import VERSE_CODES


def test_the_six_points_of_a_box_are_its_corners_and_the_middle_of_its_endplates(box):
    for number, body in enumerate(box.bodies):
        top, front = FIRST_ROW_MM + PITCH_MM * number - 0.5, FRONT_MM - 0.5
        bottom, back = top + BODY_MM[0], front + BODY_MM[1]
        middle = (front + back) / 2
        wanted = [[top, front], [top, middle], [top, back], [bottom, back], [bottom, middle], [bottom, front]]
        error = np.abs(body.points.points_rc - wanted)
        assert error.max() < 0.3


def test_heights_and_depth_of_a_box_are_right_to_half_a_millimetre(box):
    for body in box.bodies:
        sa, ms, sp, ip, mi, ia = body.points.points_rc
        for upper, lower in ((sa, ia), (ms, mi), (sp, ip)):
            # Smoothing draws sharp corners in a little; bone has none.
            assert np.linalg.norm(upper - lower) == pytest.approx(BODY_MM[0], abs=0.1 if upper is ms else 0.5)
        assert body.depth_mm == pytest.approx(BODY_MM[1], abs=0.5)


def test_levels_come_from_the_top_and_the_section_from_the_middle_of_the_canal(box):
    assert [body.level for body in box.bodies] == ["L1", "L2", "L3"]
    assert all(body.slice_mm == pytest.approx(39.0, abs=1.0) for body in box.bodies)
    assert all(body.whole for body in box.bodies)


def test_what_lies_behind_the_wall_is_arch(box):
    code = LEVELS.index("L2") + 1
    arch = np.argwhere(box.codes == code + ARCH)
    body = np.argwhere(box.codes == code)
    assert arch[:, 1].min() >= FRONT_MM + BODY_MM[1] - 1
    assert body[:, 1].max() <= FRONT_MM + BODY_MM[1] + 1


def test_a_body_that_the_edge_of_the_scan_cuts_is_not_whole():
    _, codes = box_spine()
    named = {number: LEVELS.index(level) + 1 for number, level in VERSE_CODES.items()}
    renamed = np.vectorize(lambda n: named.get(int(n), 0), otypes=[np.uint8])(codes[int(FIRST_ROW_MM) + 10 :])
    assert [body.whole for body in sections_of(renamed, (1.0, 1.0, 2.0))] == [False, True, True]


def outline_of(spurs_mm=(0.0, 0.0, 0.0, 0.0), *, waist=0.06, lean_deg=0.0, dip_mm=1.5):
    """Outline and corners of a lumbar body; spurs carry endplates on and taper within a seventh of a wall."""
    corners = np.array([[0.0, 0.0], [0.0, 34.0], [27.0, 35.0], [27.0, 1.0]])
    t = np.linspace(0, 1, 240)[:, None]
    bow = 4 * t * (1 - t)
    sa, sp, ip, ia = corners

    def side(start, end, inwards):
        return start + t * (end - start) + bow * np.array(inwards)

    def taper(at_start, at_end):
        return at_start * np.clip(1 - 7 * t, 0, 1) ** 2 + at_end * np.clip(7 * t - 6, 0, 1) ** 2

    out = [np.array([0.0, 1.0]) * spur for spur in spurs_mm]
    top = np.vstack([sa - out[0], side(sa, sp, (dip_mm, 0)), sp + out[1]])
    back = side(sp, ip, (0, -1.0)) + taper(*spurs_mm[1:3]) * [0, 1]
    bottom = np.vstack([ip + out[2], side(ip, ia, (-dip_mm, 0)), ia - out[3]])
    front = side(ia, sa, (0, waist * 34)) - taper(spurs_mm[3], spurs_mm[0]) * [0, 1]
    angle = np.deg2rad(lean_deg)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return even_outline(np.vstack([top, back, bottom, front]) @ turn.T + 40.0), corners @ turn.T + 40.0


@pytest.mark.parametrize("lean_deg", [-25.0, 0.0, 30.0])
def test_corners_of_a_body_with_spurs_are_where_they_are_without(lean_deg):
    plain, corners = outline_of(lean_deg=lean_deg)
    spurred, _ = outline_of((3.0, 0.0, 2.0, 5.0), lean_deg=lean_deg)
    assert np.abs(without_spurs(plain)[1].corners_rc - corners).max() < 0.4
    assert np.linalg.norm(without_spurs(spurred)[1].corners_rc - corners, axis=1).max() < 1.2


def test_the_outline_of_a_body_loses_its_spurs_and_nothing_else():
    plain, _ = outline_of()
    spurred, _ = outline_of((0.0, 0.0, 0.0, 5.0))
    assert without_spurs(plain)[0] is plain
    kept = without_spurs(spurred)[0]
    assert spurred[:, 1].min() < plain[:, 1].min() - 3
    assert kept[:, 1].min() > plain[:, 1].min() - 1
    assert kept[:, 1].max() == pytest.approx(plain[:, 1].max(), abs=0.1)
    assert kept.shape == spurred.shape


def test_rims_of_a_hollow_body_are_no_spurs():
    outline, corners = outline_of(dip_mm=7.0, waist=0.1)
    assert np.linalg.norm(without_spurs(outline)[1].corners_rc - corners, axis=1).max() < 0.6


def test_phantoms_with_spurs_have_the_corners_that_phantoms_know():
    rng = np.random.default_rng(5)
    shapes = [shape for _ in range(7) for shape in draw_phantom(rng).bodies]
    off = {False: [], True: []}
    for shape in shapes:
        _, points = without_spurs(even_outline(section_outline(shape, 0.0, spurs=True) + 40.0))
        error_mm = np.linalg.norm(points.points_rc - local_six_points(shape) - 40.0, axis=1).max()
        off[max(shape.osteophytes_mm) > 1.5].append(error_mm)
    assert len(off[True]) >= 4
    assert np.median(off[False]) < 0.5
    # The tips themselves lie 2.5 mm away.
    assert np.median(off[True]) < 1.3
