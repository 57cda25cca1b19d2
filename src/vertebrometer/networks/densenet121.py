"""DenseNet121 (Huang et al., 2016) for one-channel images, with one linear unit as its head."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from vertebrometer.networks.regressor import Regressor
from vertebrometer.networks.settings import NetworkConfig

_BLOCKS: Final = (6, 12, 24, 16)
_BOTTLENECK: Final = 4


class DenseLayer(nn.Module):
    """Adds `growth` channels to those it was given."""

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        inner = _BOTTLENECK * growth
        self.layers = nn.Sequential(
            nn.BatchNorm2d(in_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(in_channels, inner, 1, bias=False),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, growth, 3, padding=1, bias=False),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return what came in, followed by what is new."""
        return torch.cat([features, self.layers(features)], dim=1)


def densenet121(config: NetworkConfig) -> Regressor:
    """Build the DenseNet121 that `config` describes; `width` 64, a growth of 32, is the published one."""
    if config.width < 2 or config.width % 2:
        msg = f"densenet121 wants an even width, since it grows by half of it; got {config.width}"
        raise ValueError(msg)
    growth, channels = config.width // 2, config.width
    layers: list[nn.Module] = [
        nn.Conv2d(config.in_channels, channels, 7, stride=2, padding=3, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    for block, count in enumerate(_BLOCKS):
        if block:
            layers += _transition(channels, channels // 2)
            channels //= 2
        layers += [DenseLayer(channels + n * growth, growth) for n in range(count)]
        channels += count * growth
    layers += [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]
    return Regressor(config, nn.Sequential(*layers), channels)


def _transition(in_channels: int, out_channels: int) -> list[nn.Module]:
    return [
        nn.BatchNorm2d(in_channels),
        nn.ReLU(inplace=True),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        nn.AvgPool2d(2),
    ]
