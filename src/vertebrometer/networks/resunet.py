"""ResU-Net: the U-Net whose units add a 1 x 1 shortcut to their two convolutions."""

from __future__ import annotations

from torch import Tensor, nn

from vertebrometer.networks.lite import u_shape
from vertebrometer.networks.settings import NetworkConfig
from vertebrometer.networks.skeleton import ConvNormReLU, SegmentationNetwork


class ResidualUnit(nn.Module):
    """Two convolutions beside a shortcut; activation comes before the sum, as in R2U-Net."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.shortcut = nn.Conv2d(in_channels, out_channels, 1)
        self.convolutions = nn.Sequential(
            ConvNormReLU(in_channels, out_channels), ConvNormReLU(out_channels, out_channels)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the sum of both ways."""
        total: Tensor = self.shortcut(features) + self.convolutions(features)
        return total


def resunet(config: NetworkConfig) -> SegmentationNetwork:
    """Build the ResU-Net that `config` describes."""
    return SegmentationNetwork(config, u_shape(config, ResidualUnit))
