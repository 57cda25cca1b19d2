import numpy as np
import pytest

from tests.projection.conftest import BODY_MM, FIRST_ROW_MM, FRONT_MM, PITCH_MM, box_spine
from vertebrometer.anatomy import LEVELS
from vertebrometer.projection.bodies import ARCH, sections_of
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
