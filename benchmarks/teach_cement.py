"""Teach the shipped point network to see cement, and leave all else that it says as it is.

    python benchmarks/teach_cement.py --truth truth.json --films DIR --only NAME... --ct DIR --volumes NAME...
        --out DIR

Bodies with cement are rare in what the network learnt from, and it never flagged one. Here hidden units are
added to its head which only the flag for cement reads; every other answer stays the same to the last bit.
The units learn from phantoms, most of whose fractured bodies are filled, and from annotated films and
projected CT without any cement. Writes ``points.onnx`` with its card; ``benchmarks/implants.py`` says how
well it does.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import numpy_helper
from torch import nn

from vertebrometer.anatomy import BodyTruth, Facing, FilmTruth, SixPoints, read_truth
from vertebrometer.bench import ct_films
from vertebrometer.phantom.making import make_phantom, numbered_settings
from vertebrometer.radiographs import read_radiograph
from vertebrometer.runtime import OnnxPredictor, shipped_weights
from vertebrometer.segmentation.frames import crop_map, crop_of, normalised, pose_of
from vertebrometer.training.export import beside, save
from vertebrometer.types import GrayImage

FILLED, FILLED_INTACT = 0.6, 0.06
"""Share of fractured and of intact bodies of a phantom that are filled."""
UNITS, STEPS, CRUST = 8, 2500, 0.5
"""Hidden units, steps of learning, and weight decay."""
LESS_SURE = 0.44
"""Taken off the logit, so that the limit of flags (0.6) asks for a chance of 0.7: few bodies hold cement."""
LOOKS = 4
Known = tuple[GrayImage, FilmTruth]


def filled_phantoms(count: int, seed: int) -> Iterator[Known]:
    """Draw phantoms some of whose bodies hold cement."""
    for number in range(count):
        settings, rng = (
            numbered_settings(seed, number, fracture_rate=0.8),
            np.random.default_rng([seed, number]),
        )
        bodies = tuple(
            replace(body, implant="cement")
            if body.implant == "none"
            and rng.random() < (FILLED_INTACT if body.fracture == "none" else FILLED)
            else body
            for body in settings.bodies
        )
        phantom = make_phantom(replace(settings, bodies=bodies))
        yield phantom.radiograph.image, phantom.truth


def annotated(truth: Path, films: Path, only: list[str]) -> Iterator[Known]:
    """Read annotated films; none of them may hold cement."""
    for known in read_truth(truth):
        if known.file in only:
            yield read_radiograph(films / known.file).image, known


class Pooled:
    """What the head of the network reads of each crop."""

    def __init__(self, model: onnx.ModelProto) -> None:
        told = onnx.ModelProto()
        told.CopyFrom(model)
        name = next(node.input[0] for node in told.graph.node if "network.hidden.0.weight" in node.input)
        told.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
        self._name, self._session = name, onnxruntime.InferenceSession(told.SerializeToString())
        self._input = self._session.get_inputs()[0].name

    def __call__(self, crops: np.ndarray) -> np.ndarray:
        """Return one row for each crop, shape (n, 1, side, side)."""
        return np.asarray(self._session.run([self._name], {self._input: crops})[0])


def samples(films: Iterable[Known], pooled: Pooled, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Look at every whole body some times; return what is pooled and whether there is cement."""
    rng, features, cement = np.random.default_rng(seed), [], []
    for image, truth in films:
        crops, bodies = [], [body for body in truth.bodies if body.whole and body.implant != "metal"]
        for body in bodies:
            crops += _crops(image, body, truth.facing, rng)
        features += [pooled(np.stack(crops[start : start + 24])) for start in range(0, len(crops), 24)]
        cement += [body.implant == "cement" for body in bodies for _ in range(LOOKS)]
    return np.concatenate(features), np.array(cement, dtype=np.float32)


def _crops(image: GrayImage, body: BodyTruth, facing: Facing, rng: np.random.Generator) -> list[np.ndarray]:
    points = body.points.points_rc
    if facing is not Facing.LEFT:
        image = np.ascontiguousarray(image[:, ::-1])
        points = np.stack([points[:, 0], image.shape[1] - 1 - points[:, 1]], axis=1)
    pose, crops = pose_of(SixPoints(points)), []
    for look in range(LOOKS):
        moved = pose.moved(
            shift=(rng.normal(0, 0.06), rng.normal(0, 0.06)),
            turn_deg=rng.normal(0, 5),
            zoom=float(np.exp(rng.normal(0, 0.06))),
        )
        crop = normalised(crop_of(image, crop_map(moved if look else pose)))
        crops.append(crop[None, :: -1 if look % 2 else 1])
    return crops


def learnt(
    drawn: tuple[np.ndarray, np.ndarray], others: np.ndarray, seed: int = 0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, float]:
    """Return weights and biases of the units, and with what weights and bias the flag reads them."""
    torch.manual_seed(seed)
    features = np.concatenate([drawn[0], others])
    mean, spread = features.mean(axis=0), features.std(axis=0) + 0.05
    seen = torch.tensor((features - mean) / spread, dtype=torch.float32)
    cement = torch.cat([torch.tensor(drawn[1]), torch.zeros(len(others))])
    kinds = [cement > 0, cement == 0, torch.zeros(len(cement), dtype=torch.bool)]
    kinds[2][len(drawn[0]) :] = True
    kinds[1] &= ~kinds[2]
    places = [torch.nonzero(kind)[:, 0] for kind in kinds]
    hidden, reads = nn.Linear(features.shape[1], UNITS), nn.Linear(UNITS, 1)
    head = nn.Sequential(nn.Dropout(0.2), hidden, nn.ReLU(), nn.Dropout(0.3), reads)
    optimiser = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=CRUST)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, STEPS)
    for _ in range(STEPS):
        batch = torch.cat(
            [own[torch.randint(len(own), (n,))] for own, n in zip(places, (64, 320, 64), strict=True)]
        )
        wrong = nn.functional.binary_cross_entropy_with_logits(head(seen[batch])[:, 0], cement[batch])
        optimiser.zero_grad()
        wrong.backward()
        optimiser.step()
        schedule.step()
    weight = hidden.weight.detach().numpy() / spread
    bias = hidden.bias.detach().numpy() - weight @ mean
    return weight, bias, reads.weight.detach().numpy()[0], float(reads.bias.detach()[0]) - LESS_SURE


def with_units(
    model: onnx.ModelProto, units: tuple[np.ndarray, np.ndarray, np.ndarray, float]
) -> onnx.ModelProto:
    """Add hidden units that only the flag for cement reads."""
    weight, bias, reads, reads_bias = units
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    old = {name: numpy_helper.to_array(held[f"network.{name}"]).copy() for name in _CHANGED}
    count = old["hidden.0.bias"].size
    nothing = {name: np.zeros((old[name].shape[0], UNITS), np.float32) for name in _READING}
    new = {
        "hidden.0.weight": np.concatenate([old["hidden.0.weight"], weight]),
        "hidden.0.bias": np.concatenate([old["hidden.0.bias"], bias]),
    }
    for name in _READING:
        new[name] = np.insert(old[name], [count] * UNITS, nothing[name], axis=1)
    new["flags.weight"][1], new["flags.bias"] = 0.0, old["flags.bias"]
    new["flags.weight"][1, count : count + UNITS] = reads
    new["flags.bias"][1] = reads_bias
    # Shapes of what lies between are stated for the head as it was.
    del model.graph.value_info[:]
    for name, values in new.items():
        held[f"network.{name}"].CopyFrom(
            numpy_helper.from_array(np.asarray(values, dtype=np.float32), f"network.{name}")
        )
    return model


_READING = ("is_body.weight", "level.weight", "flags.weight", "widen.weight")
"""Each reads the hidden units first."""
_CHANGED = ("hidden.0.weight", "hidden.0.bias", "flags.bias", *_READING)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--truth", type=Path, required=True)
    parser.add_argument("--films", type=Path, required=True)
    parser.add_argument("--only", nargs="+", required=True, help="films that networks are trained on")
    parser.add_argument("--ct", type=Path, required=True)
    parser.add_argument("--volumes", nargs="+", required=True, help="volumes that networks are trained on")
    parser.add_argument("--phantoms", type=int, default=400)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    path = shipped_weights()["points"]
    model = onnx.load(path)
    pooled = Pooled(model)
    drawn = samples(filled_phantoms(arguments.phantoms, 9_200_001), pooled, seed=1)
    real = samples(annotated(arguments.truth, arguments.films, arguments.only), pooled, seed=2)
    projected = ((f.radiograph.image, f.truth) for f in ct_films(arguments.ct, 40, 7, only=arguments.volumes))
    others = np.concatenate([real[0], samples(projected, pooled, seed=3)[0]])
    write(with_units(model, learnt(drawn, others)), path, arguments.out, phantoms=arguments.phantoms)


def write(model: onnx.ModelProto, old: Path, out: Path, *, phantoms: int) -> None:
    """Write the network and its card."""
    card = OnnxPredictor(old).card
    network = json.loads(json.dumps(card.network))
    network["heads"]["hidden"] += UNITS
    drawn, *others = card.trained_on
    moments = numpy_helper.to_array(_named(model, "network.hidden.0.weight")).shape[1]
    taught = replace(
        card,
        version=f"{card.version}.1",
        network=network,
        parameters=card.parameters + UNITS * (moments + 1),
        trained_on=(replace(drawn, films=drawn.films + phantoms), *others),
        notes=f"{card.notes}; hidden units that only the flag for cement reads added by "
        "benchmarks/teach_cement.py",
    )
    out.mkdir(parents=True, exist_ok=True)
    save(model, taught, out / "points.onnx")
    beside(out / "points.onnx", taught)


def _named(model: onnx.ModelProto, name: str) -> onnx.TensorProto:
    return next(tensor for tensor in model.graph.initializer if tensor.name == name)


if __name__ == "__main__":
    main()
