"""Networks: for masks, for points, and for the compression itself. Needs the extra `train`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from torch import nn

from vertebrometer.errors import UnknownNameError
from vertebrometer.networks.carn import carn
from vertebrometer.networks.cornernet import CORNER_OUTPUTS, CornerNetwork, cornernet
from vertebrometer.networks.densenet121 import densenet121
from vertebrometer.networks.lite import LiteEncoderDecoder, load_lite
from vertebrometer.networks.mrdn import mrdn
from vertebrometer.networks.pointnet import POINT_OUTPUTS, PointNetwork, pointnet, soft_argmax
from vertebrometer.networks.r2unet import r2unet
from vertebrometer.networks.resnet50 import resnet50
from vertebrometer.networks.resunet import resunet
from vertebrometer.networks.settings import CarnReading, MrdnReading, NetworkConfig, PointHeads
from vertebrometer.networks.skeleton import SegmentationNetwork, count_parameters
from vertebrometer.networks.unet import unet

__all__ = [
    "ARCHITECTURES",
    "CORNER_OUTPUTS",
    "POINT_OUTPUTS",
    "REGRESSORS",
    "SEGMENTERS",
    "CarnReading",
    "CornerNetwork",
    "LiteEncoderDecoder",
    "MrdnReading",
    "NetworkConfig",
    "PointHeads",
    "PointNetwork",
    "SegmentationNetwork",
    "build_network",
    "count_parameters",
    "load_lite",
    "soft_argmax",
]

ARCHITECTURES: Final[Mapping[str, Callable[[NetworkConfig], nn.Module]]] = {
    "unet": unet,
    "resunet": resunet,
    "r2unet": r2unet,
    "points": pointnet,
    "corners": cornernet,
    "resnet50": resnet50,
    "densenet121": densenet121,
    "carn": carn,
    "mrdn": mrdn,
}

SEGMENTERS: Final[tuple[str, ...]] = ("unet", "resunet", "r2unet")
"""Architectures that give masks."""

REGRESSORS: Final[tuple[str, ...]] = ("resnet50", "densenet121", "carn", "mrdn")
"""Architectures that give `out_channels` numbers for each image."""


def build_network(config: NetworkConfig) -> nn.Module:
    """Build the network that `config` names, with fresh weights."""
    try:
        architecture = ARCHITECTURES[config.name]
    except KeyError:
        raise UnknownNameError(kind="network", name=config.name, known=ARCHITECTURES) from None
    return architecture(config)
