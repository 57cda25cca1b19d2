"""From a trained network to an ONNX file with its model card, checked against torch."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

import vertebrometer
from vertebrometer.config import settings_as_dict
from vertebrometer.errors import WeightsError
from vertebrometer.networks import NetworkConfig, count_parameters
from vertebrometer.runtime import CARD_KEY, InputCard, ModelCard, OnnxPredictor, TrainedOn
from vertebrometer.runtime.cards import stated

log = logging.getLogger(__name__)

# Differences are relative to the largest output, or to 1 where that is smaller:
# points are tens of pixels, of which float32 keeps seven digits.
FLOAT32_TOLERANCE: Final = 1e-4
FLOAT16_TOLERANCE: Final = 1e-2

HALVED: Final = "_as_float16"
"""What the name of a weight that is stored as float16 ends in."""

_OPSET: Final = 20

# Smaller tensors are norms and biases: little to gain, and some do not fit float16.
_SMALLEST_HALVED: Final = 1024


def card_for(
    network: nn.Module,
    config: NetworkConfig,
    *,
    name: str,
    version: str,
    input_card: InputCard,
    outputs: Sequence[str],
    trained_on: Sequence[TrainedOn],
    terms: str,
    metrics: Mapping[str, float] | None = None,
    notes: str = "",
) -> ModelCard:
    """Fill in a model card; what the network itself says is read from it."""
    return ModelCard(
        name=name,
        version=version,
        architecture=config.name,
        parameters=count_parameters(network),
        input=input_card,
        outputs=tuple(outputs),
        trained_on=tuple(trained_on),
        terms=terms,
        package_version=vertebrometer.__version__,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        network=stated(settings_as_dict(config)),
        metrics=dict(metrics or {}),
        notes=notes,
    )


def export_onnx(
    network: nn.Module,
    example: Tensor,
    output_names: Sequence[str],
    card: ModelCard,
    path: Path,
    *,
    any_size: bool = False,
    half: bool = False,
) -> ModelCard:
    """Write `network` as ONNX with its card inside, and the card beside it as `<name>.card.json`.

    Parameters
    ----------
    network : nn.Module
        Gives one tensor, or a dictionary from which `output_names` are taken.
    example : Tensor
        A batch of the right shape, (n, channels, rows, cols), n at least 2; its values do not matter.
    output_names : sequence of str
        Outputs of the file, in this order.
    card : ModelCard
        Without `torch_difference` and `weights_as`, which are filled in here.
    any_size : bool
        Let rows and columns vary, in multiples of `card.input.multiple_of_px`; else only n does.
    half : bool
        Store large weights as float16, half the file; all is still computed with as float32.

    Returns
    -------
    ModelCard
        The card as it was written.

    Raises
    ------
    WeightsError
        ONNX Runtime and torch differ by more than `FLOAT32_TOLERANCE` (stored
        as float16, `FLOAT16_TOLERANCE`). Nothing is left at `path` then.
    """
    plain = copy.deepcopy(network).cpu().to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
    frozen = _Named(plain, output_names).eval()
    model = _exported(frozen, example, output_names, card.input.multiple_of_px if any_size else None)
    images = _trial_images(example, card.input.multiple_of_px if any_size else None)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    card = replace(card, weights_as="float32")
    card = _checked(model, frozen, images, card, part, tolerance=FLOAT32_TOLERANCE)
    if half:
        _halve_weights(model)
        card = replace(card, weights_as="float16")
        card = _checked(model, frozen, images, card, part, tolerance=FLOAT16_TOLERANCE)
    part.replace(path)
    beside(path, card)
    log.info(
        "wrote %s, %.1f MB, %.1e from torch", path.name, path.stat().st_size / 1e6, card.torch_difference
    )
    return card


def beside(path: Path, card: ModelCard) -> None:
    """Write the card of a weight file beside it, with its name and checksum."""
    facts = card.as_dict() | {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    path.with_suffix(".card.json").write_text(
        json.dumps(facts, indent=2, sort_keys=True) + "\n", encoding="utf-8"
    )


class _Named(nn.Module):
    """Gives outputs as a tuple in a fixed order, as ONNX wants them."""

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, tuple(names)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        outputs = self.network(image)
        return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs[name] for name in self.names)


def _exported(
    frozen: _Named, example: Tensor, output_names: Sequence[str], multiple: int | None
) -> onnx.ModelProto:
    axes: dict[int, Any] = {0: torch.export.Dim("batch", min=1)}
    if multiple is not None:
        axes |= {2: multiple * torch.export.Dim("tiles_down"), 3: multiple * torch.export.Dim("tiles_right")}
    with _hushed():
        program = torch.onnx.export(
            frozen,
            (example.cpu(),),
            dynamo=True,
            input_names=["image"],
            output_names=list(output_names),
            dynamic_shapes={"image": axes},
            opset_version=_OPSET,
            verbose=False,
        )
    if program is None:
        msg = "torch gave no ONNX program; export again with the versions of the extra 'train'"
        raise WeightsError(msg)
    return _without_source_paths(program.model_proto)


@contextmanager
def _hushed() -> Iterator[None]:
    """Keep the exporter from telling of every pass, and of its own future."""
    noisy = logging.getLogger("onnx_ir"), logging.getLogger("onnxscript"), logging.getLogger("torch.onnx")
    levels = [logger.level for logger in noisy]
    try:
        for logger in noisy:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(noisy, levels, strict=True):
            logger.setLevel(level)


def _without_source_paths(model: onnx.ModelProto) -> onnx.ModelProto:
    """Drop what the exporter notes of its own machine: stack traces with file names."""
    model.doc_string = ""
    for part in (model.graph, *model.graph.node, *model.functions):
        part.doc_string = ""
        del part.metadata_props[:]
    for value in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        value.doc_string = ""
        del value.metadata_props[:]
    return model


def _trial_images(example: Tensor, multiple: int | None) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = [(3, *example.shape[1:])]
    if multiple is not None:
        shapes.append((1, example.shape[1], example.shape[2] + multiple, example.shape[3] + 2 * multiple))
    return [torch.rand(shape, generator=generator) for shape in shapes]


def _checked(
    model: onnx.ModelProto,
    frozen: _Named,
    images: Sequence[Tensor],
    card: ModelCard,
    path: Path,
    *,
    tolerance: float,
) -> ModelCard:
    """Write the file, and remove it again where its outputs differ from those of torch."""
    save(model, card, path)
    difference = _difference(OnnxPredictor(path), frozen, images)
    if not difference <= tolerance:  # Also where it is no number.
        path.unlink()
        found = f"{difference:.2g}, more than {tolerance:g}"
        msg = f"ONNX Runtime and torch differ by {found}; nothing was exported"
        raise WeightsError(msg)
    card = replace(card, torch_difference=float(f"{difference:.2g}"))
    save(model, card, path)
    return card


def save(model: onnx.ModelProto, card: ModelCard, path: Path) -> None:
    """Write a checked model with its card inside."""
    helper.set_model_props(model, {CARD_KEY: card.as_json()})
    model.producer_name, model.producer_version = "vertebrometer", card.package_version
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _difference(predictor: OnnxPredictor, frozen: _Named, images: Sequence[Tensor]) -> float:
    largest = 0.0
    for image in images:
        with torch.no_grad():
            wanted = [output.numpy() for output in frozen(image)]
        given = predictor(image.numpy()).values()
        largest = max([largest, *(_relative(a, b) for a, b in zip(given, wanted, strict=True))])
    return largest


def _relative(given: NDArray[np.float32], wanted: NDArray[np.float32]) -> float:
    return float(np.abs(given - wanted).max() / max(1.0, float(np.abs(wanted).max())))


def _halve_weights(model: onnx.ModelProto) -> None:
    """Store large weights as float16, each followed by a cast back, which ONNX Runtime folds on loading."""
    casts = []
    for weight in model.graph.initializer:
        numbers = numpy_helper.to_array(weight)
        if weight.data_type != TensorProto.FLOAT or numbers.size < _SMALLEST_HALVED:
            continue
        name, stored = weight.name, f"{weight.name}{HALVED}"
        weight.CopyFrom(numpy_helper.from_array(numbers.astype(np.float16), stored))
        casts.append(helper.make_node("Cast", [stored], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
