"""Weights in 8 bits answer nearly as float32 does, and say by how much they do not."""

import json
from pathlib import Path

import numpy as np
import onnx
import pytest

pytest.importorskip("torch")
import torch

from vertebrometer.errors import WeightsError
from vertebrometer.networks import NetworkConfig, build_network
from vertebrometer.networks.settings import PointHeads
from vertebrometer.runtime import InputCard, OnnxPredictor
from vertebrometer.training import eight_bit
from vertebrometer.training.eight_bit import to_eight_bit, typical_images
from vertebrometer.training.export import card_for, export_onnx
from vertebrometer.training.warm import start_from_exported

pytestmark = pytest.mark.torch

OUTPUTS = ("points", "spread", "mask", "body", "level", "flags")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    config = NetworkConfig(name="points", width=8, depth=2, stem_stride=2, heads=PointHeads(levels=27))
    network = build_network(config)
    with torch.no_grad():
        # As after training: norms know what they are fed, and answers differ from image to image.
        for layer in network.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                layer.momentum = None
            if isinstance(layer, torch.nn.Linear):
                torch.nn.init.normal_(layer.weight, std=0.3)
                torch.nn.init.normal_(layer.bias, std=0.3)
        network.heat.weight.mul_(8)
        network(torch.randn(64, 1, 32, 32))
    return network.eval()


@pytest.fixture(autouse=True)
def _untrained(monkeypatch):
    """A network that learned nothing spreads what rounding leaves more than a trained one."""
    monkeypatch.setattr(eight_bit, "LARGEST_DIFFERENCE", 0.25)


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    card = card_for(
        network,
        network.config,
        name="points",
        version="1",
        input_card=InputCard(scale="body", rows_px=32, cols_px=32, multiple_of_px=8, body_px=14.0),
        outputs=OUTPUTS,
        trained_on=[],
        terms="none",
    )
    path = tmp_path_factory.mktemp("weights") / "points.onnx"
    export_onnx(network, torch.rand(2, 1, 32, 32), OUTPUTS, card, path, half=True)
    return path


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).standard_normal((48, 1, 32, 32), dtype=np.float32)


def test_eight_bits_answer_nearly_as_float_does_in_a_smaller_file(exported, images, tmp_path):
    written = to_eight_bit(exported, tmp_path / "small.onnx", images)
    float32, small = OnnxPredictor(exported), OnnxPredictor(tmp_path / "small.onnx")
    fresh = np.random.default_rng(1).standard_normal((32, 1, 32, 32), dtype=np.float32)
    wanted, given = float32(fresh), small(fresh)
    assert wanted.keys() == given.keys()
    for name in wanted:
        off = float(np.sqrt(((given[name] - wanted[name]) ** 2).mean()))
        assert 0 < off < 0.25 * wanted[name].std(), name
    assert (written.weights_as, small.card.weights_as) == ("int8", "int8")
    assert 0 < written.float_difference < 0.25
    assert (
        json.loads((tmp_path / "small.card.json").read_text())["float_difference"] == written.float_difference
    )


def test_a_run_can_learn_on_from_eight_bits(network, exported, images, tmp_path):
    to_eight_bit(exported, tmp_path / "small.onnx", images)
    torch.manual_seed(1)
    fresh = build_network(network.config).eval()
    start_from_exported(fresh, tmp_path / "small.onnx", torch.from_numpy(images))
    with torch.no_grad():
        wanted, given = network(torch.from_numpy(images)), fresh(torch.from_numpy(images))
    for name in OUTPUTS:
        assert ((given[name] - wanted[name]) ** 2).mean().sqrt() < 0.25 * wanted[name].std(), name


def test_what_is_in_eight_bits_is_not_brought_to_them_again(exported, images, tmp_path):
    to_eight_bit(exported, tmp_path / "small.onnx", images)
    with pytest.raises(WeightsError, match="in 8 bits already"):
        to_eight_bit(tmp_path / "small.onnx", tmp_path / "smaller.onnx", images)
    assert not (tmp_path / "smaller.onnx").exists()


def test_nothing_is_written_where_an_output_would_move_too_far(exported, images, tmp_path, monkeypatch):
    monkeypatch.setattr(eight_bit, "LARGEST_DIFFERENCE", 1e-6)
    with pytest.raises(WeightsError, match="moves by"):
        to_eight_bit(exported, tmp_path / "small.onnx", images)
    assert list(Path(tmp_path).iterdir()) == []


def test_typical_images_are_those_that_the_network_is_fed(exported):
    card = OnnxPredictor(exported).card
    given = typical_images(card, phantoms=1, samples=16)
    assert given.shape[0] == 16
    assert np.abs(given.mean(axis=(1, 2, 3))).max() < 1e-3


def test_what_residual_units_add_is_in_eight_bits_and_what_heads_add_is_not(tmp_path, monkeypatch, images):
    """Weights that learned nothing may move as far as they like here."""
    monkeypatch.setattr(eight_bit, "LARGEST_DIFFERENCE", 10.0)
    torch.manual_seed(0)
    config = NetworkConfig(
        name="points",
        encoder="efficientnet-lite0",
        width=8,
        depth=2,
        stem_stride=2,
        max_width=16,
        heads=PointHeads(levels=27),
    )
    card = card_for(
        build_network(config),
        config,
        name="points",
        version="1",
        input_card=InputCard(scale="body", rows_px=32, cols_px=32, multiple_of_px=8, body_px=14.0),
        outputs=OUTPUTS,
        trained_on=[],
        terms="none",
    )
    path = tmp_path / "points.onnx"
    export_onnx(build_network(config).eval(), torch.rand(2, 1, 32, 32), OUTPUTS, card, path)
    to_eight_bit(path, tmp_path / "small.onnx", images)
    nodes = onnx.load(tmp_path / "small.onnx").graph.node
    makers = {name: node.op_type for node in nodes for name in node.output}
    added = [{makers.get(name) for name in node.input} for node in nodes if node.op_type == "Add"]
    # Strides of 2, 4 and 8: two groups of two blocks, the second of which adds.
    assert sum(kinds == {"DequantizeLinear"} for kinds in added) == 2
    assert any(kinds != {"DequantizeLinear"} for kinds in added)
