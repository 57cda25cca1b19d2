"""The fine network: six points of the one body in the middle of a crop, and what to think of it."""

from __future__ import annotations

from typing import Final

import torch
from torch import Tensor, nn

from vertebrometer.networks.lite import u_shape
from vertebrometer.networks.settings import NetworkConfig
from vertebrometer.networks.unet import plain_unit

POINT_OUTPUTS: Final[tuple[str, ...]] = ("points", "spread", "heat", "mask", "body", "level", "flags")
"""Names of what the point network gives, in the order in which it is exported."""

# exp(14) px^2 is wider than any crop and exp(-8) px^2 finer than any point; outside, exp() would run away.
_LOG_VARIANCE_LIMITS: Final = (-8.0, 14.0)

# Softmax makes heat maps that always sum to one; this keeps the log of a one-pixel map finite.
_LEAST_VARIANCE_PX2: Final = 1e-3


class PointNetwork(nn.Module):
    """A compact U-Net over a crop, with heat maps, a mask and pooled heads."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config, heads = config, config.heads
        self.body = u_shape(config, plain_unit)
        self.heat = nn.Conv2d(config.width, heads.points, 1)
        self.mask = nn.Conv2d(config.width, config.out_channels, 1)
        self.hidden = nn.Sequential(
            nn.Linear(_MOMENTS * self.body.bottom_channels, heads.hidden),
            nn.ReLU(inplace=True),
            nn.Dropout(config.dropout),
        )
        self.is_body = nn.Linear(heads.hidden, 1)
        self.level = nn.Linear(heads.hidden, heads.levels)
        self.flags = nn.Linear(heads.hidden, heads.flags)
        self.widen = nn.Linear(heads.hidden + 2 * heads.points, 2 * heads.points)
        nn.init.zeros_(self.widen.weight)
        nn.init.zeros_(self.widen.bias)

    def forward(self, crop: Tensor) -> dict[str, Tensor]:
        """Look at crops, shape (n, channels, side, side); h and w are the side over `stem_stride`.

        Returns
        -------
        dict
            `points` (n, points, 2): (row, col) in pixels of the crop.
            `spread` (n, points, 2): logarithm of the variance of each, in px^2.
            `heat` (n, points, h, w): logits of the heat maps.
            `mask` (n, out_channels, h, w): logits.
            `body` (n,): logit that the crop is centred on a vertebral body.
            `level` (n, levels) and `flags` (n, flags): logits.
        """
        fine, bottom = self.body(crop)
        heat: Tensor = self.heat(fine)
        points_rc, log_variance = soft_argmax(heat, self.config.stem_stride)
        pooled = self.hidden(pooled_moments(bottom))
        # What a heat map says of its own spread is the start; the network learns how far to trust it.
        told = log_variance.detach()
        widening = self.widen(torch.cat([pooled, told.flatten(1)], dim=1)).view_as(told)
        return {
            "points": points_rc,
            "spread": spread_from(told, widening),
            "heat": heat,
            "mask": self.mask(fine),
            "body": self.is_body(pooled).squeeze(1),
            "level": self.level(pooled),
            "flags": self.flags(pooled),
        }


def spread_from(told: Tensor, widening: Tensor) -> Tensor:
    """Logarithm of a variance, from what a heat map tells and how far a network widens it."""
    return (told + widening.float()).clamp(*_LOG_VARIANCE_LIMITS)


def soft_argmax(heat: Tensor, stride: int = 1) -> tuple[Tensor, Tensor]:
    """Read points from the logits of heat maps, shape (n, points, h, w).

    Parameters
    ----------
    heat : Tensor
        Logits; a softmax over each map makes its weights.
    stride : int
        Crop pixels per pixel of the map.

    Returns
    -------
    points_rc, log_variance : Tensor
        Both (n, points, 2): mean of each map in crop pixels, and logarithm of
        its variance in px^2 along rows and columns.
    """
    # bfloat16 holds three digits: too few for a position, so this part stays float32.
    weights = heat.float().flatten(2).softmax(dim=2).view_as(heat)
    along = [_mean_and_variance(weights.sum(dim=axis), stride) for axis in (3, 2)]
    means = torch.stack([mean for mean, _ in along], dim=2)
    variances = torch.stack([variance for _, variance in along], dim=2)
    return means, (variances + _LEAST_VARIANCE_PX2).log()


def _mean_and_variance(weights: Tensor, stride: int) -> tuple[Tensor, Tensor]:
    """Moments of weights (n, points, length) along a side, in crop pixels."""
    # Map pixel i covers crop pixels [s i - 0.5, s i + s - 0.5).
    places = (torch.arange(weights.shape[2], device=weights.device, dtype=torch.float32) + 0.5) * stride - 0.5
    mean = (weights * places).sum(dim=2)
    return mean, (weights * (places - mean.unsqueeze(2)) ** 2).sum(dim=2)


_MOMENTS: Final = 5


def pooled_moments(features: Tensor) -> Tensor:
    """Pool features with weights 1, r, c, r^2, c^2: a plain mean would not know whether a body is central."""
    down, right = (_ruler(features, axis) for axis in (2, 3))
    weights = (1.0, down, right, down**2, right**2)
    return torch.cat([(features * weight).mean(dim=(2, 3)) for weight in weights], dim=1)


def _ruler(features: Tensor, axis: int) -> Tensor:
    """Places of pixels along an axis, -1 at one border of the map and 1 at the other."""
    length = features.shape[axis]
    places = (torch.arange(length, device=features.device, dtype=features.dtype) + 0.5) * (2.0 / length) - 1.0
    return places.view(1, 1, -1, 1) if axis == 2 else places.view(1, 1, 1, -1)


def pointnet(config: NetworkConfig) -> PointNetwork:
    """Build the point network that `config` describes."""
    return PointNetwork(config)
