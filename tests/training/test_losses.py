"""Facts about the losses: what is right costs nothing, what is unknown counts for nothing."""

import math

import pytest

torch = pytest.importorskip("torch")

from vertebrometer.networks import NetworkConfig, build_network  # noqa: E402
from vertebrometer.training import MaskLoss, MaskScore, PointLoss, PointScore, fixed_batches  # noqa: E402
from vertebrometer.training.losses import heat_divergence, mask_parts, negative_log_likelihood  # noqa: E402

pytestmark = pytest.mark.torch


def masks(*channels):
    return torch.stack([torch.full((4, 4), float(value)) for value in channels])[None]


def test_a_right_mask_costs_nothing_and_a_wrong_one_much():
    truth = (torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(0)) > 0.5).float()
    right = MaskLoss()((truth - 0.5) * 60, {"mask": truth})["loss"]
    wrong = MaskLoss()((0.5 - truth) * 60, {"mask": truth})["loss"]
    assert right < 1e-3
    assert wrong > 10


@pytest.mark.parametrize("over", ["sample", "batch"])
def test_an_unknown_channel_counts_for_nothing(over):
    logits = masks(3, -3).requires_grad_()
    truth, valid = masks(1, 0), torch.tensor([1.0, 0.0]).view(1, 2, 1, 1)
    both = mask_parts(logits, {"mask": truth, "mask_valid": valid}, over=over)
    truth = truth.clone()
    truth[0, 1] = math.nan
    unknown = mask_parts(logits, {"mask": truth, "mask_valid": valid}, over=over)
    assert both == unknown
    sum(unknown).backward()
    assert logits.grad[0, 0].abs().sum() > 0
    assert logits.grad[0, 1].abs().sum() == 0


def test_a_batch_without_any_known_mask_costs_nothing_and_stays_finite():
    logits = masks(3).requires_grad_()
    loss = MaskLoss()(logits, {"mask": masks(1), "mask_valid": torch.zeros(1, 1, 1, 1)})["loss"]
    loss.backward()
    assert loss == 0
    assert logits.grad.abs().sum() == 0


def test_a_mask_finer_than_the_answer_is_averaged():
    truth = torch.zeros(1, 1, 8, 8)
    truth[..., :4, :] = 1.0
    logits = torch.full((1, 1, 4, 4), -30.0)
    logits[..., :2, :] = 30.0
    assert MaskLoss()(logits, {"mask": truth})["loss"] < 1e-3


def test_half_of_a_mask_has_the_dice_of_the_formula():
    truth = torch.zeros(1, 1, 20, 20)
    truth[..., :10, :] = 1.0
    logits = torch.full((1, 1, 20, 20), -60.0)
    logits[..., :5, :] = 60.0
    _, missing = mask_parts(logits, {"mask": truth}, over="sample")
    assert missing.item() == pytest.approx(1 - (2 * 100 + 1) / (100 + 200 + 1))


def test_the_best_spread_is_that_of_the_errors():
    missed = torch.full((1,), 3.0)
    for law, best in (("gauss", 2 * math.log(3)), ("laplace", math.log(2 * 9))):
        spread = torch.linspace(-2, 6, 801)
        cheapest = spread[negative_log_likelihood(missed, spread, law).argmin()]
        assert cheapest.item() == pytest.approx(best, abs=0.02)


def test_a_heat_map_that_is_the_wanted_bell_costs_nothing():
    places = (torch.arange(16) + 0.5) * 2 - 0.5
    point = torch.tensor([[[10.3, 17.0]]])
    heat = -0.5 * (((places[:, None] - 10.3) / 1.5) ** 2 + ((places[None] - 17.0) / 1.5) ** 2)
    assert heat_divergence(heat[None, None], point, 32, 1.5).item() == pytest.approx(0, abs=1e-4)
    assert heat_divergence(heat[None, None].flip(2), point, 32, 1.5) > 1


@pytest.fixture
def crops(toy_films):
    network = build_network(NetworkConfig(name="points", width=4, depth=2, stem_stride=2))
    return network, fixed_batches(toy_films(with_points=True), samples=3, batch_size=3, seed=0)[0]


def test_guessed_points_and_points_outside_the_crop_count_for_nothing(crops):
    network, batch = crops
    batch["points_valid"][:, [1, 4]] = 0
    batch["points"][0, 0] = torch.tensor([-5.0, 10.0])
    outputs = network(batch["image"])
    given = PointLoss()(outputs, batch)
    batch["points"][:, [1, 4]] = math.nan
    batch["points"][0, 0] = torch.tensor([10.0, 99.0])
    assert PointLoss()(outputs, batch) == given
    given["loss"].backward()
    assert all(torch.isfinite(p.grad).all() for p in network.parameters() if p.grad is not None)


def test_a_crop_of_nothing_teaches_only_that_it_is_no_body(crops):
    network, batch = crops
    batch |= {
        "points_valid": torch.zeros(3, 6),
        "mask_valid": torch.zeros(3, 1, 1, 1),
        "body": torch.zeros(3),
    }
    batch |= {"level": torch.full((3,), -1), "flags_valid": torch.zeros(3, 3)}
    parts = PointLoss()(network(batch["image"]), batch)
    assert parts["body_loss"] > 0
    assert all(value == 0 for name, value in parts.items() if name not in ("loss", "body_loss"))


def test_the_spread_does_not_pull_the_points(crops):
    network, batch = crops
    outputs = network(batch["image"])
    outputs["points"].retain_grad()
    PointLoss(points=0, heat=0, mask=0, body=0, level=0, flags=0)(outputs, batch)["loss"].backward()
    assert outputs["points"].grad is None or outputs["points"].grad.abs().sum() == 0


def test_scores_of_a_perfect_answer(crops):
    _, batch = crops

    class Oracle(torch.nn.Linear):
        def forward(self, image):
            return {
                "points": batch["points"],
                "spread": torch.zeros(3, 6, 2),
                "body": torch.ones(3),
                "level": torch.eye(5)[batch["level"]],
                "flags": -torch.ones(3, 3),
            }

    scores = PointScore([batch])(Oracle(1, 1))
    assert (scores["score"], scores["body_right"], scores["level_right"], scores["flags_right"]) == (
        0,
        1,
        1,
        1,
    )


def test_dice_of_a_film_whose_mask_is_not_known_is_left_out():
    batch = {"image": torch.zeros(2, 1, 4, 4), "mask": torch.ones(2, 1, 4, 4)}
    batch["mask_valid"] = torch.tensor([1.0, 0.0]).view(2, 1, 1, 1)

    class Half(torch.nn.Linear):
        def forward(self, image):
            return torch.cat([torch.ones(2, 1, 2, 4), -torch.ones(2, 1, 2, 4)], dim=2)

    assert MaskScore([batch])(Half(1, 1))["score"] == pytest.approx(2 / 3)
