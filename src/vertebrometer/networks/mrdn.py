"""MRDN: the regression network with multi-scale residual dilated blocks of Seo et al., Sci Rep 2021.

"The proposed MRDN model adds multi-scale residual dilated blocks (MRDBs) to the
CNN-based regression model. An MRDB is composed of a bottleneck layer for
computation time reduction, element-wise addition layers for residual mapping,
convolution filters (Conv2D), and several dilated convolution layers [...].
Every extracted feature map from the MRDB was concatenated. Finally, the VC was
measured using global average pooling (GAP) and a linear function."

What that leaves open is read in `MrdnReading`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vertebrometer.networks.regressor import Regressor
from vertebrometer.networks.settings import MrdnReading, NetworkConfig
from vertebrometer.networks.skeleton import ConvNormReLU


class DilatedBlock(nn.Module):
    """One MRDB; grid and channels stay as they are.

    A 1 x 1 bottleneck; for each dilation a 3 x 3 convolution, batch norm and
    ReLU, added to the bottleneck's map; all of them side by side; a 3 x 3
    convolution; the sum with what came in.
    """

    def __init__(self, channels: int, reading: MrdnReading) -> None:
        super().__init__()
        inner = max(1, channels // reading.bottleneck)
        self.bottleneck = nn.Sequential(
            nn.Conv2d(channels, inner, 1), nn.BatchNorm2d(inner), nn.ReLU(inplace=True)
        )
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(inner, inner, 3, padding=dilation, dilation=dilation),
                nn.BatchNorm2d(inner),
                nn.ReLU(inplace=True),
            )
            for dilation in reading.dilations
        )
        self.join = nn.Sequential(
            nn.Conv2d(inner * len(reading.dilations), channels, 3, padding=1), nn.BatchNorm2d(channels)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return features of the same shape."""
        narrow = self.bottleneck(features)
        scales = torch.cat([branch(narrow) + narrow for branch in self.branches], dim=1)
        return functional.relu(features + self.join(scales))


def mrdn(config: NetworkConfig) -> Regressor:
    """Build the MRDN that `config.mrdn` describes."""
    reading = config.mrdn
    layers: list[nn.Module] = []
    channels = config.in_channels
    for number, wider in enumerate(reading.channels):
        layers.append(ConvNormReLU(channels, wider))
        if number < reading.pools:
            layers.append(nn.MaxPool2d(2))
        channels = wider
    layers += [DilatedBlock(channels, reading) for _ in range(reading.blocks)]
    return Regressor(config, nn.Sequential(*layers), channels, least_px=2**reading.pools)
