"""The corner network: a close look at each of the six points of a body."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from vertebrometer.networks.lite import u_shape
from vertebrometer.networks.pointnet import pooled_moments, soft_argmax, spread_from
from vertebrometer.networks.settings import NetworkConfig
from vertebrometer.networks.unet import plain_unit

CORNER_OUTPUTS: Final[tuple[str, ...]] = ("points", "spread", "heat")

KIND_OF_POINT: Final[tuple[int, ...]] = (0, 1, 2, 2, 1, 0)
"""Anterior corner, middle of an endplate or posterior corner: inferior patches stand upside down, so that a
heat map serves both endplates."""


class CornerNetwork(nn.Module):
    """A small U-Net over patches, with a heat map for each kind of point."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config, heads = config, config.heads
        if heads.points != max(KIND_OF_POINT) + 1:
            msg = f"heads.points of a corner network is {max(KIND_OF_POINT) + 1}, got {heads.points}"
            raise ValueError(msg)
        self.body = u_shape(config, plain_unit)
        self.heat = nn.Conv2d(config.width, heads.points, 1)
        deepest = self.body.bottom_channels
        self.hidden = nn.Sequential(nn.Linear(5 * deepest, heads.hidden), nn.ReLU(inplace=True))
        self.widen = nn.Linear(heads.hidden + 2, 2 * heads.points)
        nn.init.zeros_(self.widen.weight)
        nn.init.zeros_(self.widen.bias)

    def forward(self, patches: Tensor) -> dict[str, Tensor]:
        """Look at the patches of bodies, shape (n, 6 * in_channels, side, side).

        Returns
        -------
        dict
            `points` (n, 6, 2): (row, col) in pixels of each patch.
            `spread` (n, 6, 2): logarithm of the variance of each, in px^2.
            `heat` (n, 6, h, w): logits of the heat maps.
        """
        side = patches.shape[2:]
        six = len(KIND_OF_POINT)
        fine, bottom = self.body(patches.reshape(-1, self.config.in_channels, *side))
        kinds: Tensor = self.heat(fine).unflatten(0, (-1, six))
        heat = torch.stack([kinds[:, n, kind] for n, kind in enumerate(KIND_OF_POINT)], dim=1)
        points_rc, log_variance = soft_argmax(heat, self.config.stem_stride)
        told = log_variance.detach()
        pooled = self.hidden(pooled_moments(bottom)).unflatten(0, (-1, six))
        widening = self.widen(torch.cat([pooled, told.to(pooled)], dim=2)).unflatten(2, (-1, 2))
        own = torch.stack([widening[:, n, kind] for n, kind in enumerate(KIND_OF_POINT)], dim=1)
        return {"points": points_rc, "spread": spread_from(told, own), "heat": heat}


def cornernet(config: NetworkConfig) -> CornerNetwork:
    """Build the corner network that `config` describes."""
    return CornerNetwork(config)
