"""What all our networks share: the way down, the way up, and the sizes they accept.

An architecture is this skeleton with its own unit. Pixel n covers [n - 0.5,
n + 0.5) on every grid, so that halving and doubling keep positions: pooling is
2 x 2, and a stem of stride s has a kernel of 2 s.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from vertebrometer.networks.settings import NetworkConfig

UnitBuilder: TypeAlias = Callable[[int, int], nn.Module]
"""Makes the unit of one level from its channels in and out."""


class ConvNormReLU(nn.Sequential):
    """A 3 x 3 convolution, batch norm and ReLU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, out_channels, 3, padding=1),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
        )


class EncoderDecoder(nn.Module):
    """The U: `depth` units down, one at the bottom, `depth` units up with what was seen on the way down."""

    def __init__(self, config: NetworkConfig, unit: UnitBuilder) -> None:
        super().__init__()
        self.config = config
        widths = [config.channels(level) for level in range(config.depth + 1)]
        first = config.in_channels if config.stem_stride == 1 else config.width
        self.stem = _stem(config)
        self.down = nn.ModuleList(unit(above, below) for above, below in pairwise([first, *widths]))
        rising = list(pairwise(reversed(widths)))
        self.up = nn.ModuleList(way_up(config, below, above) for below, above in rising)
        self.join = nn.ModuleList(unit(2 * above, above) for _, above in rising)
        self.dropout = nn.Dropout2d(config.dropout)
        self.bottom_channels = widths[-1]
        self.apply(_start)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Return features at the finest grid and at the bottom."""
        check_size(image, self.config)
        features = self.stem(image)
        seen: list[Tensor] = []
        for level, unit in enumerate(self.down):
            features = unit(functional.max_pool2d(features, 2) if level else features)
            seen.append(features)
        bottom = self.dropout(seen.pop())
        return climbed(bottom, seen, self.up, self.join), bottom


def climbed(bottom: Tensor, seen: Sequence[Tensor], up: nn.ModuleList, join: nn.ModuleList) -> Tensor:
    """Go up from the bottom, joined at each step with what was seen on the way down, finest first."""
    features = bottom
    for beside, rise, unit in zip(reversed(seen), up, join, strict=True):
        features = unit(torch.cat([beside, rise(features)], dim=1))
    return features


class SegmentationNetwork(nn.Module):
    """Maps images (n, channels, rows, cols) to logits of masks of the same size."""

    def __init__(self, config: NetworkConfig, body: nn.Module) -> None:
        super().__init__()
        self.config = config
        self.body = body
        self.head = nn.Conv2d(config.width, config.out_channels, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits, shape (n, out_channels, rows, cols)."""
        fine, _ = self.body(image)
        logits: Tensor = self.head(fine)
        if self.config.stem_stride > 1:
            logits = functional.interpolate(
                logits, scale_factor=float(self.config.stem_stride), mode="bilinear"
            )
        return logits


def check_size(image: Tensor, config: NetworkConfig) -> None:
    """Refuse an image whose rows or columns cannot be halved `depth` times.

    Raises
    ------
    ValueError
        The message states the size given and the nearest larger one that fits.
    """
    if torch.compiler.is_compiling():  # While it is exported, sizes are symbols.
        return
    if image.ndim != 4 or image.shape[1] != config.in_channels:
        wanted = f"(n, {config.in_channels}, rows, cols)"
        msg = f"{config.name} wants images of shape {wanted}, got {tuple(image.shape)}"
        raise ValueError(msg)
    rows, cols = image.shape[2:]
    step = config.multiple_of
    if rows % step or cols % step:
        given, right = f"{rows} x {cols}", f"{-(-rows // step) * step} x {-(-cols // step) * step}"
        msg = f"{config.name} wants rows and columns in multiples of {step}, got {given}; pad to {right}"
        raise ValueError(msg)


def count_parameters(network: nn.Module) -> int:
    """Count the numbers that training sets; a shared kernel counts once."""
    return sum(parameter.numel() for parameter in network.parameters())


def _stem(config: NetworkConfig) -> nn.Module:
    stride = config.stem_stride
    if stride == 1:
        return nn.Identity()
    # An even kernel keeps output pixel i over input pixels [s i, s i + s); an odd one would
    # shift by half a pixel.
    shrink = nn.Conv2d(config.in_channels, config.width, 2 * stride, stride=stride, padding=stride // 2)
    return nn.Sequential(shrink, nn.BatchNorm2d(config.width), nn.ReLU(inplace=True))


def way_up(config: NetworkConfig, below: int, above: int) -> nn.Module:
    """Make a step up, to twice the rows and columns."""
    if config.up == "transposed":
        rise = nn.ConvTranspose2d(below, above, 2, stride=2)
        return nn.Sequential(rise, nn.BatchNorm2d(above), nn.ReLU(inplace=True))
    return nn.Sequential(nn.Upsample(scale_factor=2, mode="nearest"), ConvNormReLU(below, above))


def _start(module: nn.Module) -> None:
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
