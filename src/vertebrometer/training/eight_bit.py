"""Weights in whole numbers of 8 bits: a quarter of the file, and convolutions two to three times as quick."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from vertebrometer.errors import SettingsError, WeightsError
from vertebrometer.runtime import ModelCard, OnnxPredictor
from vertebrometer.training.bank import BankFilm, phantom_bank
from vertebrometer.training.corner_source import CornerSource
from vertebrometer.training.export import HALVED, beside, save
from vertebrometer.training.samples import SampleSource, fixed_batches
from vertebrometer.training.sources import BodySource, CoarseSource, FilmChoice

log = logging.getLogger(__name__)

LARGEST_DIFFERENCE: Final = 0.1
"""RMS by which any output may differ from that of float32, as a share of its SD over the typical images."""

_QUANTISED: Final = ("Conv", "Concat", "MaxPool", "Resize", "Relu", "Clip", "Add")
_FIRST: Final = 2
"""Convolutions at the start that stay float, for they see greys finer than 256 levels tell: in 8 bits
with them, points of the corner network move 2.5 times as far (0.055 instead of 0.022 of their SD)."""
_TYPICAL_SEED: Final = 7_500_000
_BATCH: Final = 16


def to_eight_bit(path: Path, out: Path, images: NDArray[np.float32]) -> ModelCard:
    """Write exported weights anew, with convolutions in whole numbers of 8 bits.

    The ranges of what flows between layers are those over half of `images`; the other
    half tells how far the outputs move. The first convolutions and the last layers, which
    give the answers, stay float32. Weights use 7 of the 8 bits, since CPUs without VNNI
    add up pairs of products in 16 bits.

    Parameters
    ----------
    path : Path
        As `export_onnx` wrote it.
    out : Path
        File to write, with its card beside it; may be `path` itself.
    images : ndarray
        Typical input, shape (n, channels, rows, cols), n at least 2.

    Returns
    -------
    ModelCard
        The card as it was written, with `float_difference`.

    Raises
    ------
    WeightsError
        The weights are in 8 bits already, or an output would move by more than
        `LARGEST_DIFFERENCE`; nothing is written then.
    """
    before = OnnxPredictor(path)
    if before.card.weights_as == "int8":
        msg = f"{path.name} is in 8 bits already; give the float weights that it was made from"
        raise WeightsError(msg)
    half = len(images) // 2
    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, small = (
            Path(folder) / name for name in ("plain.onnx", "prepared.onnx", "small.onnx")
        )
        onnx.save(_as_float32(onnx.load(path)), plain)
        quant_pre_process(plain, prepared, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            small,
            _Images(images[:half]),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            activation_type=QuantType.QUInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=_kept_float(onnx.load(prepared)),
            op_types_to_quantize=list(_QUANTISED),
        )
        model = onnx.load(small)
        card = replace(before.card, weights_as="int8")
        save(model, card, small)
        moved = _moved(before, OnnxPredictor(small), images[half:])
    if not moved <= LARGEST_DIFFERENCE:  # Also where it is no number.
        limit = f"{LARGEST_DIFFERENCE:g}"
        msg = f"in 8 bits an output of {path.name} moves by {moved:.2g} of its SD, more than {limit}"
        raise WeightsError(msg)
    card = replace(card, float_difference=float(f"{moved:.2g}"))
    out.parent.mkdir(parents=True, exist_ok=True)
    part = out.with_name(f".{out.name}.part")
    save(model, card, part)
    part.replace(out)
    beside(out, card)
    log.info("wrote %s, %.1f MB, %.2g of the SD from float32", out.name, out.stat().st_size / 1e6, moved)
    return card


def typical_images(card: ModelCard, *, phantoms: int = 32, samples: int = 192) -> NDArray[np.float32]:
    """Make input as a network of this card is fed, from phantoms that no other purpose uses.

    Raises
    ------
    SettingsError
        The card is of a network that only experiments use.
    """
    seeds = range(_TYPICAL_SEED, _TYPICAL_SEED + phantoms)
    pixel_mm = 0.3 if card.input.scale == "body" else 0.6
    source = _source(card, list(phantom_bank(seeds, pixel_mm=pixel_mm)))
    batches = fixed_batches(source, samples=samples, batch_size=_BATCH, seed=_TYPICAL_SEED)
    return np.concatenate([batch["image"].numpy() for batch in batches])


def _source(card: ModelCard, films: Sequence[BankFilm]) -> SampleSource:
    choose = FilmChoice(films, {})
    bodies = BodySource(choose, fractured=0.5, upside_down=0.5, strength=0.5)
    if card.input.scale == "body":
        return CornerSource.of(bodies) if card.architecture == "corners" else bodies
    if card.input.scale == "mm":
        return CoarseSource(choose, degraded=0.1)
    msg = f"{card.name} sees films on a canvas; 8 bits are for the networks of `measure`"
    raise SettingsError(msg)


class _Images(CalibrationDataReader):  # type: ignore[misc]  # ONNX Runtime states no types
    """Hands out images batch by batch."""

    def __init__(self, images: NDArray[np.float32]) -> None:
        self._batches = iter([images[start : start + _BATCH] for start in range(0, len(images), _BATCH)])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        batch = next(self._batches, None)
        return None if batch is None else {"image": batch}


def _as_float32(model: onnx.ModelProto) -> onnx.ModelProto:
    """Undo the storing of large weights as float16."""
    weights = {weight.name: weight for weight in model.graph.initializer}
    kept = []
    for node in model.graph.node:
        stored = node.input[0] if node.op_type == "Cast" else ""
        if stored.endswith(HALVED) and stored in weights:
            numbers = numpy_helper.to_array(weights[stored]).astype(np.float32)
            weights[stored].CopyFrom(numpy_helper.from_array(numbers, node.output[0]))
        else:
            kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


def _kept_float(model: onnx.ModelProto) -> list[str]:
    """First convolutions, those that give maps from features, and what joins or adds other numbers."""
    nodes = model.graph.node
    convolutions = [node for node in nodes if node.op_type == "Conv"]
    onward = {name for node in nodes if node.op_type in _QUANTISED for name in node.input}
    last = [node.name for node in convolutions if node.output[0] not in onward]
    # Spreads and pooled features side by side have no range in common.
    seen = {name for node in convolutions for name in node.input}
    while (
        more := {
            name for node in nodes if node.op_type == "Add" and node.output[0] in seen for name in node.input
        }
        - seen
    ):  # Features to which features are added on their way to a convolution.
        seen |= more
    joined = [node.name for node in nodes if node.op_type in ("Concat", "Add") and node.output[0] not in seen]
    return [*(node.name for node in convolutions[:_FIRST]), *last, *joined]


def _moved(before: OnnxPredictor, after: OnnxPredictor, images: NDArray[np.float32]) -> float:
    """Largest RMS difference of an output, as a share of its SD."""
    shares = []
    for start in range(0, len(images), _BATCH):
        wanted, given = before(images[start : start + _BATCH]), after(images[start : start + _BATCH])
        shares.append(
            [
                (float(((given[name] - wanted[name]) ** 2).mean()), float(wanted[name].var()))
                for name in wanted
            ]
        )
    off, spread = np.moveaxis(np.array(shares).mean(axis=0), -1, 0)
    return float(np.sqrt(off / np.maximum(spread, 1e-12)).max())
