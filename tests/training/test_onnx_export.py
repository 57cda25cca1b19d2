"""Facts about exported files; one export, because each takes seconds."""

import hashlib
import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("onnxscript")

from vertebrometer.errors import WeightsError  # noqa: E402
from vertebrometer.networks import NetworkConfig, build_network  # noqa: E402
from vertebrometer.runtime import InputCard, OnnxPredictor, TrainedOn  # noqa: E402
from vertebrometer.training import export  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.mark.slow
def test_an_exported_network_answers_as_torch_does_and_carries_its_card(tmp_path, monkeypatch):
    torch.manual_seed(0)
    config = NetworkConfig(name="r2unet", width=4, depth=2, out_channels=2)
    network = build_network(config)
    card = export.card_for(
        network,
        config,
        name="toy",
        version="1",
        input_card=InputCard(scale="mm", pixel_mm=1.2, multiple_of_px=config.multiple_of),
        outputs=["mask"],
        trained_on=[TrainedOn(name="noise", terms="none")],
        terms="Apache-2.0",
        metrics={"score": 0.5},
    )
    path = tmp_path / "toy.onnx"
    written = export.export_onnx(
        network, torch.rand(2, 1, 8, 12), ["mask"], card, path, any_size=True, half=True
    )

    predictor = OnnxPredictor(path, threads=1)
    image = np.random.default_rng(0).random((1, 1, 16, 24), dtype=np.float32)
    with torch.no_grad():
        wanted = network.eval()(torch.from_numpy(image)).numpy()
    assert np.abs(predictor(image)["mask"] - wanted).max() < 1e-2 * max(1.0, np.abs(wanted).max())
    assert predictor.card == written
    assert (written.weights_as, written.parameters) == (
        "float16",
        sum(p.numel() for p in network.parameters()),
    )
    beside = json.loads((tmp_path / "toy.card.json").read_text())
    assert beside["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert b"site-packages" not in path.read_bytes()

    # The same export once more would take seconds, so only the check is repeated, against another network.
    model = export.onnx.load(path)
    other = export._Named(build_network(config), ["mask"]).eval()
    with pytest.raises(WeightsError, match="differ by"):
        export._checked(model, other, [torch.rand(1, 1, 8, 8)], card, tmp_path / "bad.onnx", tolerance=1e-4)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["toy.card.json", "toy.onnx"]
