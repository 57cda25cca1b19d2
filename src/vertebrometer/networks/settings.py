"""What a network is: a value that is saved with its weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class PointHeads:
    """How many answers the heads of the point network give."""

    points: int = 6
    """Heat maps, one for each point, in the order of `anatomy.POINT_NAMES`."""
    levels: int = 5
    """Groups of vertebral levels told apart."""
    flags: int = 3
    """Yes-or-no findings: metal, cement, cut by the border."""
    hidden: int = 64
    """Width of the layer between the pooled features and the answers."""

    def __post_init__(self) -> None:
        if min(self.points, self.levels, self.flags, self.hidden) < 1:
            msg = f"every head needs at least one answer, got {self}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """One network; a variant is another config, never a subclass."""

    name: str
    """A key of `ARCHITECTURES`."""
    width: int = 64
    """Channels at full resolution; each halving of the image doubles them."""
    depth: int = 4
    """How often the image is halved on the way down."""
    in_channels: int = 1
    out_channels: int = 1
    """Masks that are predicted."""
    max_width: int | None = None
    """Channels are not doubled beyond this; None lets them grow."""
    steps: int = 2
    """t of R2U-Net: a recurrent layer applies its kernel once and then t times more."""
    sharing: Literal["tied", "separate", "none"] = "tied"
    """Kernels of a recurrent layer: one for all steps, one forward and one recurrent, or one a step."""
    up: Literal["nearest", "transposed"] = "nearest"
    """Way up: nearest neighbour and a 3 x 3 convolution, or a transposed 2 x 2 convolution."""
    dropout: float = 0.0
    """Share of the deepest channels that is left out while training."""
    stem_stride: Literal[1, 2, 4] = 1
    """The network works on an image this many times smaller; it makes that itself."""
    heads: PointHeads = field(default_factory=PointHeads)
    """Only the point network has these."""

    def __post_init__(self) -> None:
        if min(self.width, self.in_channels, self.out_channels) < 1 or self.depth < 1:
            msg = f"width, depth and channels of a network are at least 1, got {self}"
            raise ValueError(msg)
        if self.steps < 0:
            msg = f"steps counts recurrent steps, 0 or more; got {self.steps}"
            raise ValueError(msg)
        if not 0.0 <= self.dropout < 1.0:
            msg = f"dropout is a share from 0 to below 1, got {self.dropout}"
            raise ValueError(msg)

    @property
    def multiple_of(self) -> int:
        """Rows and columns of an input image are multiples of this."""
        return int(2**self.depth * self.stem_stride)

    def channels(self, level: int) -> int:
        """Channels after `level` halvings."""
        grown = int(self.width * 2**level)
        return grown if self.max_width is None else min(grown, self.max_width)
