import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vertebrometer.anatomy import SixPoints
from vertebrometer.errors import SettingsError
from vertebrometer.projection import BodySection, Crush
from vertebrometer.projection.deform import deformation_of

LEVELS = ("T12", "L1", "L2", "L3")


def _boxes():
    bodies = []
    for number, level in enumerate(LEVELS):
        top, front = 20.0 + 36 * number, 30.0
        corners = np.array([[top, front], [top, front + 34], [top + 26, front + 34], [top + 26, front]])
        sides = [
            np.linspace(a, b, 30, endpoint=False)
            for a, b in zip(corners, np.roll(corners, -1, 0), strict=True)
        ]
        points = SixPoints.from_corners(corners)
        bodies.append(BodySection(level=level, points=points, contour_mm=np.vstack(sides), slice_mm=0.0))
    return bodies


def _heights(body):
    sa, ms, sp, ip, mi, ia = body.points.points_rc
    return [float(np.linalg.norm(a - b)) for a, b in ((sa, ia), (ms, mi), (sp, ip))]


def _still(crushes):
    return deformation_of(_boxes(), crushes, turns_deg=(0.0,) * 4, discs_mm=(0.0,) * 4)


def test_a_wedge_of_40_percent_loses_40_percent_of_the_anterior_height():
    wedge = Crush(level="L1", kind="wedge", anterior=0.4, middle=0.25, posterior=0.0, kyphosis_share=0.0)
    crushed = _still([wedge]).body(_boxes()[1])
    assert _heights(crushed) == pytest.approx([26 * 0.6, 26 * 0.75, 26.0], abs=0.15)


@given(
    losses=st.tuples(*[st.floats(0, 0.6)] * 3),
    superior=st.floats(0, 1),
    follow=st.floats(0, 1),
)
@settings(max_examples=25, deadline=None)
def test_any_crush_loses_what_it_says_and_leaves_the_neighbours_their_shape(losses, superior, follow):
    anterior, middle, posterior = losses
    # A wall that loses more than the rest would push the body into the disc.
    posterior = min(anterior, middle, posterior)
    crush = Crush(
        level="L1",
        kind="crush",
        anterior=anterior,
        middle=middle,
        posterior=posterior,
        superior_share=superior,
        kyphosis_share=follow,
    )
    field = _still([crush])
    after = [field.body(body) for body in _boxes()]
    assert _heights(after[1]) == pytest.approx([26 * (1 - a) for a in (anterior, middle, posterior)], abs=0.5)
    for neighbour in (0, 2, 3):
        assert _heights(after[neighbour]) == pytest.approx([26.0] * 3, abs=0.25)


def test_forward_and_backward_are_each_other_s_inverse():
    crushes = [
        Crush(level="L1", kind="wedge", anterior=0.5, middle=0.3, posterior=0.1),
        Crush(level="L2", kind="biconcave", anterior=0.05, middle=0.4, posterior=0.0),
    ]
    field = deformation_of(_boxes(), crushes, turns_deg=(3.0, -2.0, 4.0, 0.0), discs_mm=(1.0, 0.0, -1.0, 0.0))
    points = np.vstack([body.contour_mm for body in _boxes()])
    back, _ = field.backward(field.forward(points))
    assert np.abs(back - points).max() < 0.05


def test_the_spine_above_a_wedge_leans_forward_and_that_below_stays():
    wedge = Crush(level="L1", kind="wedge", anterior=0.5, middle=0.3, posterior=0.0, kyphosis_share=1.0)
    field = _still([wedge])
    before, after = _boxes(), [field.body(body) for body in _boxes()]
    assert after[3].points.points_rc == pytest.approx(before[3].points.points_rc, abs=0.05)
    sa, sp = after[0].points.point("superior_anterior"), after[0].points.point("superior_posterior")
    assert np.rad2deg(np.arctan2(sa[0] - sp[0], sp[1] - sa[1])) == pytest.approx(
        np.rad2deg(np.arctan(13 / 34)), abs=2
    )


def test_bone_that_lost_half_of_its_height_is_up_to_twice_as_dense():
    crush = Crush(level="L2", kind="crush", anterior=0.5, middle=0.5, posterior=0.5)
    field = _still([crush])
    centre = field.forward(np.array([[20.0 + 72 + 13, 47.0], [20.0 + 108 + 13, 47.0]]))
    _, denser = field.backward(centre)
    assert 1.9 < denser[0] < 4.0
    assert denser[1] == pytest.approx(1.0)


def test_a_loss_that_would_fold_the_body_is_refused():
    with pytest.raises(SettingsError, match="loss of a height"):
        Crush(level="L1", kind="crush", anterior=0.9, middle=0.2, posterior=0.0)
