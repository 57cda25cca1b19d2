"""Facts about the way down of EfficientNet-Lite0 and the weights that it may start from."""

import pytest

torch = pytest.importorskip("torch")

from vertebrometer.errors import WeightsError  # noqa: E402
from vertebrometer.networks import (  # noqa: E402
    NetworkConfig,
    PointHeads,
    build_network,
    count_parameters,
    load_lite,
)
from vertebrometer.networks.lite import LiteEncoder  # noqa: E402

pytestmark = pytest.mark.torch


def as_published():
    """Weights named and ordered as those of the whole network: three colours, no counts of batches."""
    torch.manual_seed(0)
    weights = LiteEncoder(3, 5).state_dict()
    return {f"theirs.{name}": torch.randn_like(w) for name, w in weights.items() if w.ndim} | {
        "_conv_head.weight": torch.zeros(1280, 320, 1, 1)
    }


def test_the_way_down_has_as_many_parameters_as_published():
    """4,652,008 in all, of which the last convolution (1,280 channels) and 1,000 classes are left out."""
    head = 320 * 1280 + 2 * 1280 + 1280 * 1000 + 1000
    assert count_parameters(LiteEncoder(3, 5)) == 4_652_008 - head


@pytest.mark.parametrize(("stride", "depth"), [(2, 4), (1, 5), (2, 2), (1, 3)])
def test_masks_are_as_large_as_the_image(stride, depth):
    config = NetworkConfig(
        name="unet", encoder="efficientnet-lite0", stem_stride=stride, depth=depth, width=8, max_width=16
    )
    side = 3 * config.multiple_of
    assert build_network(config).eval()(torch.rand(1, 1, side, side)).shape == (1, 1, side, side)


def test_points_and_corners_can_have_it_too():
    points = NetworkConfig(
        name="points", encoder="efficientnet-lite0", width=8, depth=4, stem_stride=2, max_width=16
    )
    assert build_network(points).eval()(torch.rand(2, 1, 64, 64))["points"].shape == (2, 6, 2)
    corners = NetworkConfig(
        name="corners",
        encoder="efficientnet-lite0",
        width=8,
        depth=4,
        max_width=16,
        in_channels=2,
        heads=PointHeads(points=3),
    )
    assert build_network(corners).eval()(torch.rand(2, 12, 48, 48))["points"].shape == (2, 6, 2)


@pytest.mark.parametrize(("stride", "depth"), [(4, 3), (2, 5), (1, 6)])
def test_depths_it_does_not_have_are_refused(stride, depth):
    with pytest.raises(ValueError, match="efficientnet-lite0 wants"):
        build_network(
            NetworkConfig(name="unet", encoder="efficientnet-lite0", stem_stride=stride, depth=depth)
        )


def test_grey_is_seen_as_equal_colours():
    weights = as_published()
    colour, grey = LiteEncoder(3, 5).eval(), LiteEncoder(1, 5).eval()
    colour.load_state_dict(
        {**colour.state_dict(), **{n.removeprefix("theirs."): w for n, w in weights.items() if "theirs" in n}}
    )
    load_lite(grey, weights)
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        wanted, given = colour.stem[0](image.expand(-1, 3, -1, -1)), grey.stem[0](image)
    assert torch.allclose(wanted, given, atol=1e-5)
    for name, tensor in grey.state_dict().items():
        if tensor.ndim and name != "stem.0.weight":
            assert torch.equal(tensor, weights[f"theirs.{name}"]), name


def test_a_second_channel_changes_nothing_at_first():
    two = LiteEncoder(2, 2).eval()
    load_lite(two, as_published())
    image = torch.rand(1, 2, 32, 32)
    other = torch.cat([image[:, :1], torch.rand(1, 1, 32, 32)], dim=1)
    with torch.no_grad():
        assert torch.equal(two.stem[0](image), two.stem[0](other))


def test_weights_of_another_network_are_refused_before_anything_changes():
    encoder = LiteEncoder(1, 5)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    weights = as_published()
    weights["theirs.groups.3.0.layers.0.0.weight"] = torch.zeros(7, 40, 1, 1)
    with pytest.raises(WeightsError, match="not of EfficientNet-Lite0"):
        load_lite(encoder, weights)
    with pytest.raises(WeightsError, match="tensors"):
        load_lite(encoder, dict(list(weights.items())[:9]))
    assert all(torch.equal(before[name], tensor) for name, tensor in encoder.state_dict().items())
