"""A run can learn on from exported weights."""

from pathlib import Path

import pytest
import torch

from vertebrometer.config import settings_from
from vertebrometer.errors import WeightsError
from vertebrometer.networks import NetworkConfig, build_network
from vertebrometer.runtime import InputCard, OnnxPredictor
from vertebrometer.training.eight_bit import typical_images
from vertebrometer.training.export import card_for, export_onnx
from vertebrometer.training.warm import exported_path, start_from_exported


def _network(seed: int, width: int = 8) -> torch.nn.Module:
    torch.manual_seed(seed)
    network = build_network(NetworkConfig(name="unet", width=width, depth=2))
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):  # As after training: no norm is neutral.
            layer.running_mean.normal_()  # type: ignore[union-attr,operator]
            layer.running_var.uniform_(0.5, 2.0)  # type: ignore[union-attr,operator]
            torch.nn.init.uniform_(layer.weight, 0.5, 1.5)
            torch.nn.init.normal_(layer.bias)
    return network.eval()


def _exported(network: torch.nn.Module, path: Path, *, half: bool = False) -> Path:
    config = network.config
    assert isinstance(config, NetworkConfig)
    card = card_for(
        network,
        config,
        name="trial",
        version="1",
        input_card=InputCard(scale="mm", pixel_mm=1.5, multiple_of_px=config.multiple_of),
        outputs=["mask"],
        trained_on=[],
        terms="none",
    )
    export_onnx(network, torch.rand(2, 1, 16, 16), ["mask"], card, path, half=half)
    return path


def test_a_network_started_from_exported_weights_answers_as_the_exported_one(tmp_path: Path) -> None:
    trained, fresh = _network(1), _network(2)
    path = _exported(trained, tmp_path / "trial.onnx")
    images = torch.rand(16, 1, 32, 32)
    start_from_exported(fresh, path, images)
    with torch.no_grad():
        wanted, given = trained(images), fresh(images)
        while_training = fresh.train()(images)
    assert torch.allclose(given, wanted, atol=1e-3 * float(wanted.abs().max()))
    # The same batch sets the norms' statistics, so that training starts where the other run ended.
    assert torch.allclose(while_training, wanted, atol=1e-2 * float(wanted.abs().max()))


def test_weights_stored_as_float16_start_a_run_too(tmp_path: Path) -> None:
    trained, fresh = _network(1), _network(2)
    start_from_exported(
        fresh, _exported(trained, tmp_path / "trial.onnx", half=True), torch.rand(4, 1, 32, 32)
    )
    image = torch.rand(1, 1, 32, 32)
    with torch.no_grad():
        wanted, given = trained(image), fresh(image)
    assert torch.allclose(given, wanted, atol=1e-2 * float(wanted.abs().max()))


def test_the_shipped_networks_can_be_learnt_on_from(tmp_path: Path) -> None:
    """Each is the answer of the network that its weights start."""
    for name in ("coarse", "points", "corners"):
        path = exported_path(f"shipped:{name}", tmp_path)
        card = OnnxPredictor(path).card
        network = build_network(settings_from(card.network, NetworkConfig)).eval()
        images = torch.from_numpy(typical_images(card, phantoms=1, samples=16))
        start_from_exported(network, path, images)
        told = OnnxPredictor(path)(images.numpy())
        with torch.no_grad():
            given = network(images)
        for output in card.outputs:
            own = (given if isinstance(given, torch.Tensor) else given[output]).numpy()
            # Weights may be stored in 8 bits.
            assert ((own - told[output]) ** 2).mean() < (0.1 * own.std()) ** 2, (name, output)


def test_weights_of_another_architecture_are_refused_before_anything_changes(tmp_path: Path) -> None:
    path = _exported(_network(1), tmp_path / "trial.onnx")
    wider = _network(2, width=16)
    before = {name: tensor.clone() for name, tensor in wider.state_dict().items()}
    with pytest.raises(WeightsError, match="another network"):
        start_from_exported(wider, path, torch.rand(2, 1, 16, 16))
    assert all(torch.equal(before[name], tensor) for name, tensor in wider.state_dict().items())


def test_names_of_weights_that_do_not_exist_say_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="points"):
        exported_path("shipped:nonsense", tmp_path)
    with pytest.raises(WeightsError, match="shipped:NAME"):
        exported_path("missing.onnx", tmp_path)
    assert exported_path("shipped:points", tmp_path).is_file()


def test_a_file_that_is_no_onnx_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="cannot be read"):
        start_from_exported(_network(1), path, torch.rand(2, 1, 16, 16))
