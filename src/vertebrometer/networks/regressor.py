"""What all networks share that give numbers for an image: features, a pooling, one linear unit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vertebrometer.networks.settings import NetworkConfig


class Regressor(nn.Module):
    """Maps images (n, in_channels, rows, cols) to numbers (n, out_channels).

    The last unit is linear, without an activation: compressions may be negative.
    """

    def __init__(
        self,
        config: NetworkConfig,
        features: nn.Module,
        channels: int,
        *,
        pooled: int = 1,
        least_px: int = 32,
    ) -> None:
        super().__init__()
        self.config, self.least_px = config, least_px
        self.features = features
        self.pool = nn.AdaptiveAvgPool2d(pooled)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(channels * pooled**2, config.out_channels)
        self.apply(_start)

    def forward(self, image: Tensor) -> Tensor:
        """Return the numbers, shape (n, out_channels)."""
        self._check(image)
        numbers: Tensor = self.head(self.dropout(self.pool(self.features(image)).flatten(1)))
        return numbers

    def _check(self, image: Tensor) -> None:
        if torch.compiler.is_compiling():  # While it is exported, sizes are symbols.
            return
        least, channels = self.least_px, self.config.in_channels
        if image.ndim != 4 or image.shape[1] != channels or min(image.shape[2:]) < least:
            wanted = f"(n, {channels}, rows, cols) with at least {least} rows and columns"
            msg = f"{self.config.name} wants images of shape {wanted}, got {tuple(image.shape)}"
            raise ValueError(msg)


def _start(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
