"""U-Net (Ronneberger et al., MICCAI 2015), padded, with batch norm."""

from __future__ import annotations

from torch import nn

from vertebrometer.networks.lite import u_shape
from vertebrometer.networks.settings import NetworkConfig
from vertebrometer.networks.skeleton import ConvNormReLU, SegmentationNetwork


def plain_unit(in_channels: int, out_channels: int) -> nn.Module:
    """Two convolutions, one after the other."""
    return nn.Sequential(ConvNormReLU(in_channels, out_channels), ConvNormReLU(out_channels, out_channels))


def unet(config: NetworkConfig) -> SegmentationNetwork:
    """Build the U-Net that `config` describes."""
    return SegmentationNetwork(config, u_shape(config, plain_unit))
