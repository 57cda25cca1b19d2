"""Facts about pictures that are no lateral films of the spine."""

import numpy as np
import pytest

from vertebrometer.phantom import other_picture
from vertebrometer.phantom.others import KINDS
from vertebrometer.pipeline import Measurer
from vertebrometer.radiographs import Radiograph


@pytest.mark.parametrize("kind", KINDS)
def test_no_picture_that_is_no_lateral_film_of_the_spine_is_given_a_value(kind):
    report = Measurer().measure(Radiograph(image=other_picture(40, kind=kind)))
    assert not report.quality.usable
    assert all(body.percent is None for body in report.vertebrae)


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_draws_its_picture_again_and_another_draws_another(kind):
    first, again, other = (other_picture(seed, kind=kind) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.min() >= 0
    assert first.max() <= 1
