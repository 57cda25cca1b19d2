"""Facts about samples and batches."""

from itertools import islice

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from vertebrometer.training import MixedSource, batches, fixed_batches  # noqa: E402
from vertebrometer.training.samples import collate, draw  # noqa: E402

pytestmark = pytest.mark.torch


class Numbered:
    """Says which sample it is by a number drawn."""

    def __init__(self, constant=None):
        self.constant = constant

    def sample(self, rng):
        drawn = rng.random()
        return {"image": np.full((1, 2, 2), drawn if self.constant is None else self.constant)}


def first(count, **settings):
    return [batch["image"] for batch in islice(batches(Numbered(), batch_size=3, seed=5, **settings), count)]


def same(some, others):
    return len(some) == len(others) and all(torch.equal(a, b) for a, b in zip(some, others, strict=True))


def test_a_sample_depends_on_the_seed_and_its_number_alone():
    assert draw(Numbered(), 1, 7)["image"] == pytest.approx(draw(Numbered(), 1, 7)["image"])
    assert draw(Numbered(), 1, 7)["image"][0, 0, 0] != draw(Numbered(), 2, 7)["image"][0, 0, 0]


def test_a_later_start_goes_on_with_the_same_batches():
    assert same(first(6)[4:], first(2, start_step=4))


@pytest.mark.parametrize("workers", [1, 2])
def test_workers_do_not_change_the_batches(workers):
    assert same(first(5, start_step=3), first(5, start_step=3, workers=workers))


def test_devices_that_train_together_never_see_the_same_sample():
    seen = torch.cat(first(4, rank=0, world_size=2) + first(4, rank=1, world_size=2))
    assert len(seen[:, 0, 0, 0].unique()) == 24


def test_a_mixture_draws_its_sources_as_often_as_asked():
    mixed = MixedSource((Numbered(0.0), Numbered(1.0)), (1.0, 3.0))
    drawn = [draw(mixed, 0, number)["image"].mean() for number in range(400)]
    assert np.mean(drawn) == pytest.approx(0.75, abs=0.06)


@pytest.mark.parametrize("weights", [(1.0,), (0.0, 0.0), (2.0, -1.0)])
def test_an_impossible_mixture_is_refused(weights):
    with pytest.raises(ValueError, match="weight"):
        MixedSource((Numbered(), Numbered()), weights)


def test_samples_that_do_not_fit_together_are_named():
    with pytest.raises(ValueError, match=r"differ in \['mask'\]"):
        collate([{"image": np.zeros(2)}, {"image": np.zeros(2), "mask": np.zeros(2)}])
    with pytest.raises(ValueError, match=r"'image' came as \[\(2,\), \(3,\)\]"):
        collate([{"image": np.zeros(2)}, {"image": np.zeros(3)}])


def test_whole_numbers_stay_whole():
    batch = collate([{"level": -1, "body": 1.0}, {"level": 3, "body": 0.0}])
    assert batch["level"].dtype == torch.int64
    assert batch["body"].dtype == torch.float32


def test_validation_films_are_the_same_each_time():
    once, again = (fixed_batches(Numbered(), samples=5, batch_size=2, seed=9) for _ in range(2))
    assert [len(batch["image"]) for batch in once] == [2, 2, 1]
    assert same([b["image"] for b in once], [b["image"] for b in again])
