"""Networks: U-Net, ResU-Net, R2U-Net and the point network. Needs the extra `train`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from torch import nn

from vertebrometer.errors import UnknownNameError
from vertebrometer.networks.pointnet import POINT_OUTPUTS, PointNetwork, pointnet, soft_argmax
from vertebrometer.networks.r2unet import r2unet
from vertebrometer.networks.resunet import resunet
from vertebrometer.networks.settings import NetworkConfig, PointHeads
from vertebrometer.networks.skeleton import SegmentationNetwork, count_parameters
from vertebrometer.networks.unet import unet

__all__ = [
    "ARCHITECTURES",
    "POINT_OUTPUTS",
    "NetworkConfig",
    "PointHeads",
    "PointNetwork",
    "SegmentationNetwork",
    "build_network",
    "count_parameters",
    "soft_argmax",
]

ARCHITECTURES: Final[Mapping[str, Callable[[NetworkConfig], nn.Module]]] = {
    "unet": unet,
    "resunet": resunet,
    "r2unet": r2unet,
    "points": pointnet,
}


def build_network(config: NetworkConfig) -> nn.Module:
    """Build the network that `config` names, with fresh weights."""
    try:
        architecture = ARCHITECTURES[config.name]
    except KeyError:
        raise UnknownNameError(kind="network", name=config.name, known=ARCHITECTURES) from None
    return architecture(config)
