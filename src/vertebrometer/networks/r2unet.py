"""R2U-Net: recurrent residual units in the skeleton of a U-Net (Alom et al., 2018).

With t = 2 a recurrent layer applies its kernel three times: to its input x,
and twice to x plus what came out last. All steps share one kernel; each step
has its own batch norm, because the statistics of the steps differ.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional

from vertebrometer.networks.lite import u_shape
from vertebrometer.networks.settings import NetworkConfig
from vertebrometer.networks.skeleton import SegmentationNetwork


class RecurrentLayer(nn.Module):
    """One convolution unrolled over time.

    Parameters
    ----------
    channels : int
        In and out.
    steps : int
        t: applications after the first.
    sharing : {"tied", "separate", "none"}
        "tied": one kernel, applied to x and then to x + state. "separate": the
        printed equation, forward kernel * x + recurrent kernel * state. "none":
        a kernel of its own for each application, as some public copies have it.
    """

    def __init__(self, channels: int, steps: int, sharing: Literal["tied", "separate", "none"]) -> None:
        super().__init__()
        kernels = {"tied": 1, "separate": 2 if steps else 1, "none": steps + 1}[sharing]
        self.sharing = sharing
        self.kernels = nn.ModuleList(nn.Conv2d(channels, channels, 3, padding=1) for _ in range(kernels))
        self.norms = nn.ModuleList(nn.BatchNorm2d(channels) for _ in range(steps + 1))

    def forward(self, x: Tensor) -> Tensor:
        """Return the state after the last step."""
        driven = self.kernels[0](x)
        state = functional.relu(self.norms[0](driven))
        for step, norm in enumerate(list(self.norms)[1:], 1):
            match self.sharing:
                case "tied":
                    total = self.kernels[0](x + state)
                case "separate":
                    total = driven + self.kernels[1](state)
                case _:
                    total = self.kernels[step](x + state)
            state = functional.relu(norm(total))
        return state


class RecurrentResidualUnit(nn.Module):
    """A 1 x 1 convolution to the right channels, two recurrent layers, and the sum of both."""

    def __init__(
        self, in_channels: int, out_channels: int, *, steps: int, sharing: Literal["tied", "separate", "none"]
    ) -> None:
        super().__init__()
        self.match = nn.Conv2d(in_channels, out_channels, 1)
        self.layers = nn.Sequential(
            RecurrentLayer(out_channels, steps, sharing), RecurrentLayer(out_channels, steps, sharing)
        )

    def forward(self, features: Tensor) -> Tensor:
        """Return the matched features plus what the recurrent layers make of them."""
        matched = self.match(features)
        total: Tensor = matched + self.layers(matched)
        return total


def r2unet(config: NetworkConfig) -> SegmentationNetwork:
    """Build the R2U-Net that `config` describes."""
    unit = partial(RecurrentResidualUnit, steps=config.steps, sharing=config.sharing)
    return SegmentationNetwork(config, u_shape(config, unit))
