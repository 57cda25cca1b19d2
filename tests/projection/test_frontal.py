import numpy as np
import pytest

from tests.projection.conftest import BODY_MM, FIRST_ROW_MM, PITCH_MM
from vertebrometer.projection import draw_projection, project, seen_from_the_front

HEIGHT_MM, DEPTH_MM, WIDTH_MM = BODY_MM


def test_from_the_front_a_body_is_as_wide_as_it_is_from_side_to_side(box):
    front = seen_from_the_front(box)
    assert [body.level for body in front.bodies] == [body.level for body in box.bodies]
    for number, body in enumerate(front.bodies):
        sa, sp, ip, ia = body.points.corners_rc
        assert sp[1] - sa[1] == pytest.approx(WIDTH_MM, abs=2)
        assert ia[0] - sa[0] == pytest.approx(HEIGHT_MM, abs=1)
        assert sa[0] == pytest.approx(FIRST_ROW_MM + number * PITCH_MM, abs=1)
        assert (ip - ia).tolist() == (sp - sa).tolist()


def test_from_the_front_pedicles_stand_on_either_side_of_the_middle(box):
    front = seen_from_the_front(box)
    body = front.bodies[1]
    top = body.points.corners_rc[0, 0]
    pedicles = front.hu[int(top) + 6, :, int(20 + DEPTH_MM + 15)] > 0
    runs = np.flatnonzero(np.diff(np.r_[0, pedicles.astype(int), 0]))
    assert len(runs) == 4
    assert runs[0] + runs[3] == pytest.approx(front.hu.shape[1], abs=2)


def test_turned_twice_all_bone_is_where_it_was_but_for_left_and_right(box):
    back = seen_from_the_front(seen_from_the_front(box))
    assert np.array_equal(back.hu, box.hu[:, ::-1, ::-1])
    assert back.spacing_mm == box.spacing_mm


def test_a_frontal_film_is_the_same_twice_and_shows_all_bodies(box):
    front = seen_from_the_front(box)
    settings = draw_projection(np.random.default_rng(3), front, crush_rate=0)
    film, truth = project(front, settings)
    again, _ = project(front, settings)
    assert np.array_equal(film.image, again.image)
    assert [body.level for body in truth.bodies] == [body.level for body in front.bodies]
