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
class MrdnReading:
    """How the text of the paper on the MRDN is read; quotations are of Seo et al., Sci Rep 2021.

    The paper gives neither channels nor the order within a block. Two readings of
    the poolings are named: `literal` is `pools = 6`, `default` is `pools = 4`.
    """

    channels: tuple[int, ...] = (16, 32, 64, 128, 256, 256)
    """One for each layer: "six layers comprising Conv2D with a 3 x 3 kernel size and a 1 x 1 stride, BN,
    ReLU, and max pooling with a 2 x 2 kernel size were applied to extract a low-level feature map"."""
    pools: int = 4
    """Layers, counted from the first, that end with a pooling. All six ("literal") shrink 512 to 8 x 8, where
    dilations of 8 and 16 touch nothing but the centre; with four ("default") the block sees 32 x 32."""
    blocks: int = 1
    """"adds multi-scale residual dilated blocks (MRDBs)", but "was inserted only in the last part of the
    model"."""
    dilations: tuple[int, ...] = (2, 4, 8, 16)
    """"four Dilated Conv2D layers with 2, 4, 8, and 16 DR"."""
    bottleneck: int = 4
    """"because numerous parameters are generated, the MRDB included bottleneck layers": a 1 x 1 convolution
    to this many times fewer channels."""

    def __post_init__(self) -> None:
        if not self.channels or min(self.channels) < 1 or not 0 <= self.pools <= len(self.channels):
            msg = f"MRDN wants channels for each layer and at most as many poolings, got {self}"
            raise ValueError(msg)
        if self.blocks < 1 or not self.dilations or min(self.dilations) < 1 or self.bottleneck < 1:
            msg = f"MRDN wants blocks, dilations and a bottleneck of at least 1, got {self}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class CarnReading:
    """How CARN (Pang et al., MICCAI 2018) is built, which the paper compares with.

    "The CARN model [...] has a structure that selectively reuses features of
    adjacent layers through an amplifier unit".
    """

    stem_channels: int = 8
    """Of a 7 x 7 convolution with stride 2; each unit doubles them."""
    units: int = 6
    """Amplifier units, with 2 x 2 max pooling between them: 16, 32, 64, 128, 256, 512 channels."""
    narrow: int = 256
    """Channels that a last 1 x 1 convolution leaves."""
    pooled: int = 2
    """Rows and columns after the last pooling. The published net pools 8 x 4 by 4 x 2, which leaves 2 x 2;
    other sizes of input change nothing but this pooling."""

    def __post_init__(self) -> None:
        if min(self.stem_channels, self.units, self.narrow, self.pooled) < 1:
            msg = f"every size of CARN is at least 1, got {self}"
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
    """Masks that are predicted; numbers, where the network gives numbers."""
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
    encoder: Literal["own", "efficientnet-lite0"] = "own"
    """Way down: of the architecture's own units, or that of EfficientNet-Lite0, which can start from weights
    that were learnt on photographs (`start_from = "photographs"`)."""
    stem_stride: Literal[1, 2, 4] = 1
    """The network works on an image this many times smaller; it makes that itself."""
    heads: PointHeads = field(default_factory=PointHeads)
    """Only the point network has these; the corner network has `points` of them, one for each kind."""
    mrdn: MrdnReading = field(default_factory=MrdnReading)
    """Only the MRDN has these."""
    carn: CarnReading = field(default_factory=CarnReading)
    """Only CARN has these."""

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
