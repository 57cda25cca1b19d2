"""ResNet50 (He et al., 2015) for one-channel images, with one linear unit as its head.

The stride of a stage sits in its 3 x 3 convolution, as in most implementations
since; the paper of 2015 has it in the 1 x 1 convolution before. The number of
parameters is the same.
"""

from __future__ import annotations

from typing import Final

from torch import Tensor, nn
from torch.nn import functional

from vertebrometer.networks.regressor import Regressor
from vertebrometer.networks.settings import NetworkConfig

_STAGES: Final = (3, 4, 6, 3)
_EXPANSION: Final = 4


class Bottleneck(nn.Module):
    """1 x 1 to fewer channels, 3 x 3, 1 x 1 to four times as many, beside a shortcut."""

    def __init__(self, in_channels: int, channels: int, stride: int) -> None:
        super().__init__()
        out_channels = _EXPANSION * channels
        self.layers = nn.Sequential(
            *_conv(in_channels, channels, 1),
            nn.ReLU(inplace=True),
            *_conv(channels, channels, 3, stride),
            nn.ReLU(inplace=True),
            *_conv(channels, out_channels, 1),
        )
        same = stride == 1 and in_channels == out_channels
        self.shortcut = nn.Identity() if same else nn.Sequential(*_conv(in_channels, out_channels, 1, stride))
        last_norm = self.layers[-1]
        assert isinstance(last_norm, nn.BatchNorm2d)
        # A unit starts as its shortcut, so that fifty layers learn from the first step.
        nn.init.zeros_(last_norm.weight)

    def forward(self, features: Tensor) -> Tensor:
        """Return the sum of both ways."""
        return functional.relu(self.shortcut(features) + self.layers(features))


def resnet50(config: NetworkConfig) -> Regressor:
    """Build the ResNet50 that `config` describes; `width` 64 is the published one."""
    layers = [
        *_conv(config.in_channels, config.width, 7, 2),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(3, stride=2, padding=1),
    ]
    channels = config.width
    for stage, units in enumerate(_STAGES):
        inner = config.width * 2**stage
        for unit in range(units):
            layers.append(Bottleneck(channels, inner, stride=2 if stage and not unit else 1))
            channels = _EXPANSION * inner
    return Regressor(config, nn.Sequential(*layers), channels)


def _conv(in_channels: int, out_channels: int, kernel: int, stride: int = 1) -> list[nn.Module]:
    convolution = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, bias=False)
    return [convolution, nn.BatchNorm2d(out_channels)]
