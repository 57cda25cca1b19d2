"""Facts about the networks that give the compression itself: sizes, reach, and that they can learn."""

import pytest

torch = pytest.importorskip("torch")

from vertebrometer.networks import (  # noqa: E402
    REGRESSORS,
    CarnReading,
    MrdnReading,
    NetworkConfig,
    build_network,
    count_parameters,
)
from vertebrometer.networks.carn import AmplifierUnit  # noqa: E402

pytestmark = pytest.mark.torch

SMALL = {
    "resnet50": {"width": 4},
    "densenet121": {"width": 8},
    "carn": {"carn": CarnReading(stem_channels=4, units=4, narrow=32)},
    "mrdn": {"mrdn": MrdnReading(channels=(4, 8, 8, 16, 16, 16))},
}


def small(name, **more):
    return build_network(NetworkConfig(name=name, **SMALL[name], **more))


def size_of(**settings):
    with torch.device("meta"):
        return count_parameters(build_network(NetworkConfig(**settings)))


@pytest.mark.parametrize(("name", "millions"), [("resnet50", 23.50), ("densenet121", 6.95)])
def test_the_textbook_networks_have_as_many_parameters_as_published(name, millions):
    assert size_of(name=name) / 1e6 == pytest.approx(millions, abs=0.006)


def test_an_amplifier_unit_has_two_kernels_and_three_norms():
    unit = AmplifierUnit(16)
    kernels = 2 * (16 * 16 * 9 + 16)
    assert count_parameters(unit) == kernels + 2 * (16 + 16 + 32)


def test_carn_doubles_its_channels_six_times_and_hands_1024_features_on():
    with torch.device("meta"):
        network = build_network(NetworkConfig(name="carn"))
        features = network.features(torch.empty(1, 1, 512, 256))
        assert features.shape == (1, 256, 8, 4)
        assert network.head.in_features == 1024
        # 8-16-...-512: six units, the stem and the 1 x 1 convolution.
        stem, last = 8 * 50, 513 * 256
        units = sum(2 * (9 * c * c + c) + 8 * c for c in (8, 16, 32, 64, 128, 256))
        assert count_parameters(network) == stem + 16 + units + last + 512 + 1025


@pytest.mark.parametrize(("pools", "grid"), [(6, 8), (4, 32)])
def test_the_poolings_decide_on_which_grid_the_dilated_block_works(pools, grid):
    with torch.device("meta"):
        network = build_network(NetworkConfig(name="mrdn", mrdn=MrdnReading(pools=pools)))
        features = network.features(torch.empty(1, 1, 512, 512))
    assert features.shape[2:] == (grid, grid)


def test_pools_change_nothing_about_the_number_of_parameters():
    assert size_of(name="mrdn", mrdn=MrdnReading(pools=6)) == size_of(name="mrdn")
    assert size_of(name="mrdn", mrdn=MrdnReading(blocks=2)) > size_of(name="mrdn")


def reach_px(features, side):
    """Rows of the image on which the middle feature depends."""
    for module in features.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.constant_(module.weight, 0.1)
    image = torch.full((1, 1, side, side), 1.0, requires_grad=True)
    # A maximum passes the gradient to one pixel only, so every pixel gets its turn by a mean instead.
    made = image
    for module in features:
        made = (
            torch.nn.functional.avg_pool2d(made, 2)
            if isinstance(module, torch.nn.MaxPool2d)
            else module(made)
        )
    middle = made.shape[2] // 2
    made[0, :, middle, middle].sum().backward()
    rows = torch.nonzero(image.grad[0, 0].abs().sum(dim=1)).flatten()
    return int(rows[-1] - rows[0]) + 1


def test_the_default_mrdn_sees_more_than_a_triplet():
    config = NetworkConfig(
        name="mrdn", mrdn=MrdnReading(channels=(1,) * 6, pools=4, dilations=(2, 4, 8, 16), bottleneck=1)
    )
    # Layers: 110 pixels, at 16 pixels a step; dilation 16 adds 2 x 16 steps, the last kernel 2.
    assert reach_px(build_network(config).eval().features, 1024) == 110 + 16 * (2 * 16 + 2)


def test_without_dilation_the_mrdn_would_not():
    config = NetworkConfig(name="mrdn", mrdn=MrdnReading(channels=(1,) * 6, dilations=(1,), bottleneck=1))
    assert reach_px(build_network(config).eval().features, 512) == 110 + 16 * 4


@pytest.mark.parametrize("name", REGRESSORS)
def test_every_regressor_gives_as_many_numbers_as_asked(name):
    network = small(name, out_channels=4).eval()
    with torch.no_grad():
        assert network(torch.rand(3, 1, 64, 96)).shape == (3, 4)


@pytest.mark.parametrize("name", REGRESSORS)
def test_an_image_with_the_wrong_channels_is_refused(name):
    with pytest.raises(ValueError, match="wants images of shape"):
        small(name)(torch.rand(1, 3, 64, 64))


@pytest.mark.parametrize("name", REGRESSORS)
def test_every_regressor_learns_a_tiny_set_by_heart(name):
    torch.manual_seed(0)
    network = small(name).train()
    images, values = torch.zeros(8, 1, 64, 64), torch.linspace(-0.5, 2.0, 8)
    for n in range(8):
        images[n, 0, 8 : 20 + 4 * n, 16:48] = 1.0
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(80):
        loss = torch.nn.functional.mse_loss(network(images)[:, 0], values)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if loss < 5e-3:
            break
    assert loss < 0.02


@pytest.mark.parametrize(
    "wrong", [lambda: MrdnReading(pools=7), lambda: MrdnReading(blocks=0), lambda: CarnReading(units=0)]
)
def test_impossible_readings_are_refused(wrong):
    with pytest.raises(ValueError, match=r"CARN|MRDN"):
        wrong()
