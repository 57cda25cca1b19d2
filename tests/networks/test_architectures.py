"""Facts about the networks: sizes, sharing, and where a point is."""

import pytest

torch = pytest.importorskip("torch")

from vertebrometer.errors import UnknownNameError  # noqa: E402
from vertebrometer.networks import (  # noqa: E402
    POINT_OUTPUTS,
    SEGMENTERS,
    NetworkConfig,
    PointHeads,
    build_network,
    count_parameters,
    soft_argmax,
)
from vertebrometer.networks.skeleton import EncoderDecoder  # noqa: E402

pytestmark = pytest.mark.torch


def size_of(**settings):
    with torch.device("meta"):  # Shapes alone: 100 M numbers need no memory.
        return count_parameters(build_network(NetworkConfig(**settings)))


@pytest.mark.parametrize(
    ("settings", "millions"),
    [
        ({"name": "unet"}, 34.53),
        ({"name": "r2unet", "steps": 0}, 39.09),  # One batch norm a layer, as the public copies count.
        ({"name": "r2unet"}, 39.11),  # The same kernels, a batch norm for each of three applications.
        ({"name": "r2unet", "sharing": "separate"}, 70.53),
        ({"name": "r2unet", "sharing": "none"}, 101.94),
        ({"name": "r2unet", "width": 32}, 9.79),
        ({"name": "resunet"}, 35.92),
    ],
)
def test_networks_have_as_many_parameters_as_published(settings, millions):
    assert size_of(**settings) / 1e6 == pytest.approx(millions, abs=0.006)


def convolution_parameters(steps):
    network = build_network(NetworkConfig(name="r2unet", width=4, depth=2, steps=steps))
    return sum(m.weight.numel() + m.bias.numel() for m in network.modules() if isinstance(m, torch.nn.Conv2d))


def test_more_recurrent_steps_need_no_more_kernels():
    assert convolution_parameters(1) == convolution_parameters(2) == convolution_parameters(5)


def test_more_recurrent_steps_change_the_answer():
    image = torch.rand(1, 1, 16, 16)
    answers = []
    for steps in (1, 2, 3):
        torch.manual_seed(0)
        answers.append(
            build_network(NetworkConfig(name="r2unet", width=4, depth=2, steps=steps)).eval()(image)
        )
    assert not torch.allclose(answers[0], answers[1])
    assert not torch.allclose(answers[1], answers[2])


def test_two_recurrent_steps_apply_one_kernel_three_times_with_a_norm_each():
    network = build_network(NetworkConfig(name="r2unet", width=4, depth=1))
    layer = network.body.down[0].layers[0]
    applied = []
    layer.kernels[0].register_forward_hook(lambda *_: applied.append(1))
    network(torch.rand(2, 1, 8, 8))
    assert (len(layer.kernels), len(applied), len(layer.norms)) == (1, 3, 3)
    assert all(norm.num_batches_tracked == 1 for norm in layer.norms)


@pytest.mark.parametrize("name", SEGMENTERS)
@pytest.mark.parametrize("settings", [{}, {"up": "transposed"}, {"stem_stride": 2}, {"stem_stride": 4}])
def test_every_segmenter_answers_with_masks_of_the_size_of_the_film(name, settings):
    config = NetworkConfig(name=name, width=4, depth=2, out_channels=3, **settings)
    network = build_network(config)
    assert network.config == config
    assert network(torch.rand(2, 1, 16, 32)).shape == (2, 3, 16, 32)


@pytest.mark.parametrize("name", SEGMENTERS)
def test_a_wrong_size_is_refused_with_the_right_one(name):
    network = build_network(NetworkConfig(name=name, width=2, depth=4))
    with pytest.raises(ValueError, match=r"multiples of 16, got 60 x 97; pad to 64 x 112"):
        network(torch.rand(1, 1, 60, 97))


def test_a_colour_film_is_refused():
    network = build_network(NetworkConfig(name="unet", width=2, depth=1))
    with pytest.raises(ValueError, match=r"shape \(n, 1, rows, cols\), got \(1, 3, 8, 8\)"):
        network(torch.rand(1, 3, 8, 8))


def test_an_unknown_network_is_refused_with_the_known_ones():
    with pytest.raises(
        UnknownNameError,
        match="known are carn, corners, densenet121, mrdn, points, r2unet, resnet50, resunet, unet",
    ):
        build_network(NetworkConfig(name="vnet"))


@pytest.mark.parametrize("wrong", [{"width": 0}, {"depth": 0}, {"steps": -1}, {"dropout": 1.0}])
def test_impossible_networks_cannot_be_described(wrong):
    with pytest.raises(ValueError, match=r"width|steps|dropout"):
        NetworkConfig(name="unet", **wrong)


def test_channels_stop_growing_where_they_are_told_to():
    config = NetworkConfig(name="unet", width=8, max_width=20)
    assert [config.channels(level) for level in range(4)] == [8, 16, 20, 20]


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_a_sharp_heat_map_gives_the_middle_of_its_pixel(stride):
    heat = torch.full((1, 1, 8, 8), -50.0)
    heat[0, 0, 2, 5] = 50.0
    points_rc, log_variance = soft_argmax(heat, stride)
    # Map pixel i covers crop pixels s i to s i + s - 1, whose middle is s i + (s - 1) / 2.
    wanted = [2 * stride + (stride - 1) / 2, 5 * stride + (stride - 1) / 2]
    assert points_rc[0, 0].tolist() == pytest.approx(wanted, abs=1e-4)
    assert log_variance.max() < -6


def test_a_flat_heat_map_points_to_the_middle_and_says_that_it_does_not_know():
    points_rc, log_variance = soft_argmax(torch.zeros(1, 6, 24, 24), 2)
    assert torch.allclose(points_rc, torch.full((1, 6, 2), 23.5), atol=1e-4)
    # The variance of the middles of 24 equal pixels of 2: 2^2 (24^2 - 1) / 12.
    assert torch.allclose(log_variance.exp(), torch.full((1, 6, 2), 4 * (24**2 - 1) / 12), rtol=1e-4)


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_the_grid_does_not_lean_to_one_side(stride):
    # A network that sees the film upside down and mirrored, with its kernels turned too,
    # answers upside down and mirrored; an odd kernel in the stem would shift it.
    torch.manual_seed(0)
    config = NetworkConfig(name="unet", width=4, depth=2, stem_stride=stride, in_channels=1)
    straight = EncoderDecoder(config, lambda a, b: torch.nn.Conv2d(a, b, 3, padding=1)).eval()
    turned = EncoderDecoder(config, lambda a, b: torch.nn.Conv2d(a, b, 3, padding=1)).eval()
    turned.load_state_dict({n: w.flip(2, 3) if w.ndim == 4 else w for n, w in straight.state_dict().items()})
    image = torch.rand(1, 1, 32, 32)
    fine, _ = straight(image)
    other, _ = turned(image.flip(2, 3))
    assert torch.allclose(fine, other.flip(2, 3), atol=1e-4)


def test_the_point_network_answers_all_its_questions():
    heads = PointHeads(points=6, levels=4, flags=3)
    config = NetworkConfig(name="points", width=4, depth=2, stem_stride=2, heads=heads)
    outputs = build_network(config)(torch.rand(2, 1, 32, 32))
    assert tuple(outputs) == POINT_OUTPUTS
    shapes = {name: tuple(value.shape[1:]) for name, value in outputs.items()}
    assert shapes == {
        "points": (6, 2),
        "spread": (6, 2),
        "heat": (6, 16, 16),
        "mask": (1, 16, 16),
        "body": (),
        "level": (4,),
        "flags": (3,),
    }


def test_the_body_head_can_tell_the_middle_from_the_border():
    network = build_network(NetworkConfig(name="points", width=4, depth=1)).eval()
    central, aside = torch.zeros(1, 1, 32, 32), torch.zeros(1, 1, 32, 32)
    central[..., 12:20, 12:20] = 1.0
    aside[..., 12:20, 20:28] = 1.0
    assert not torch.allclose(network(central)["level"], network(aside)["level"], atol=1e-4)


# The corner network


def corner_network(**changes):
    heads = PointHeads(points=3, hidden=8)
    config = {"name": "corners", "width": 4, "depth": 2, "in_channels": 2, "heads": heads}
    return build_network(NetworkConfig(**(config | changes))).eval()


def test_the_corner_network_places_a_point_in_each_patch():
    out = corner_network()(torch.randn(3, 12, 16, 16))
    assert {name: tuple(value.shape) for name, value in out.items()} == {
        "points": (3, 6, 2),
        "spread": (3, 6, 2),
        "heat": (3, 6, 16, 16),
    }


def test_superior_and_inferior_patches_are_read_alike():
    network = corner_network()
    torch.nn.init.normal_(network.widen.weight)
    patches = torch.randn(2, 6, 2, 16, 16)
    # Anterior, middle and posterior of the superior endplate, then those of the inferior one from the back.
    turned = patches[:, [5, 4, 3, 2, 1, 0]]
    one, other = (network(each.flatten(1, 2)) for each in (patches, turned))
    for name in ("points", "spread"):
        assert torch.allclose(one[name][:, [5, 4, 3, 2, 1, 0]], other[name], atol=1e-4)


def test_anterior_and_posterior_patches_are_not_read_alike():
    patch = torch.randn(1, 1, 2, 16, 16).expand(1, 6, 2, 16, 16)
    points = corner_network()(patch.flatten(1, 2))["points"][0]
    assert torch.allclose(points[0], points[5], atol=1e-4)
    assert not torch.allclose(points[0], points[2], atol=1e-3)


def test_a_corner_network_knows_three_kinds_of_points():
    with pytest.raises(ValueError, match="3, got 6"):
        corner_network(heads=PointHeads(points=6))
