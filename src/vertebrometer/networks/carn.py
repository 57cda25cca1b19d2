"""CARN: cascade amplifier regression network (Pang et al., MICCAI 2018), written from its description.

`out_channels` 1 is `carn-scalar`, the comparison of the paper: the compression
alone. `out_channels` 4 is `carn-heights`: the three anterior heights and the
compression, as the published net gives several sizes at once.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vertebrometer.networks.regressor import Regressor
from vertebrometer.networks.settings import NetworkConfig


class AmplifierUnit(nn.Module):
    """Doubles the channels: some are new, and those before are kept as far as a gate lets them through.

    new = conv(x); gate = tanh(BN(conv(new))); kept = gate x + x;
    out = BN(concat(kept, ReLU(BN(new)))).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.new = nn.Conv2d(channels, channels, 3, padding=1)
        self.gate = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels))
        self.norm_new = nn.BatchNorm2d(channels)
        self.norm = nn.BatchNorm2d(2 * channels)

    def forward(self, features: Tensor) -> Tensor:
        """Return twice as many channels on the same grid."""
        new = self.new(features)
        kept = torch.tanh(self.gate(new)) * features + features
        joined = torch.cat([kept, functional.relu(self.norm_new(new))], dim=1)
        out: Tensor = self.norm(joined)
        return out


def carn(config: NetworkConfig) -> Regressor:
    """Build the CARN that `config.carn` describes."""
    reading = config.carn
    channels = reading.stem_channels
    layers: list[nn.Module] = [
        nn.Conv2d(config.in_channels, channels, 7, stride=2, padding=3),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    ]
    for unit in range(reading.units):
        if unit:
            layers.append(nn.MaxPool2d(2))
        layers.append(AmplifierUnit(channels))
        channels *= 2
    layers += [nn.Conv2d(channels, reading.narrow, 1), nn.BatchNorm2d(reading.narrow)]
    least = 2**reading.units
    return Regressor(config, nn.Sequential(*layers), reading.narrow, pooled=reading.pooled, least_px=least)
