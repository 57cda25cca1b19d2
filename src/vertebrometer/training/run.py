"""Whole training runs: from a settings file to an ONNX file with its model card."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, cast

import torch

from vertebrometer.anatomy import LEVELS, POINT_NAMES
from vertebrometer.config import read_settings
from vertebrometer.errors import SettingsError
from vertebrometer.networks import CORNER_OUTPUTS, POINT_OUTPUTS, NetworkConfig, build_network
from vertebrometer.runtime import InputCard, TrainedOn
from vertebrometer.segmentation.coarse_view import COARSE_CHANNELS, COARSE_PIXEL_MM
from vertebrometer.segmentation.frames import CROP_SIDE_PX, DEPTH_SHARE
from vertebrometer.segmentation.patches import PATCH_SIDE_PX, PATCHES_PER_DEPTH
from vertebrometer.training.checkpoints import BEST, LAST, load_network
from vertebrometer.training.corner_source import CornerSource
from vertebrometer.training.data import Banks, DataSettings, load_banks
from vertebrometer.training.export import card_for, export_onnx
from vertebrometer.training.loop import Draw, Fitted, LossOf, Validate, fit
from vertebrometer.training.losses import MaskLoss, PointLoss
from vertebrometer.training.overlays import draw_masks, draw_patches, draw_points
from vertebrometer.training.samples import SampleSource, fixed_batches
from vertebrometer.training.settings import TrainingSettings
from vertebrometer.training.sources import BodySource, CanvasSource, CoarseSource, FilmChoice
from vertebrometer.training.validation import MaskScore, PointScore
from vertebrometer.training.warm import start

log = logging.getLogger(__name__)

_STATISTICS = 192
"""Samples that set the statistics of norms where a run starts from exported weights."""

# The heat maps are only a means; leaving them out keeps the exported network quick.
_POINT_OUTPUTS = tuple(name for name in POINT_OUTPUTS if name != "heat")
_CORNER_OUTPUTS = tuple(name for name in CORNER_OUTPUTS if name != "heat")


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmentationSettings:
    """Settings file of ``vertebrometer train segmentation``."""

    run: TrainingSettings
    data: DataSettings = field(default_factory=DataSettings)
    loss: MaskLoss = field(default_factory=MaskLoss)
    view: Literal["stretch", "canvas"] = "stretch"
    """stretch: views of a part of the spine at coarse scale. canvas: the whole film, zero-padded to a square
    ("zero padding to set the image size to a standardized 512 x 512 pixels based on the original ratio")."""
    side_px: int = 160
    """Side of a training view or canvas."""
    degraded: float = 0.0
    """How often a view of a part of the spine is grainy, smeared or lossily compressed."""
    bank_mm: float = 0.6
    validation_samples: int = 160
    name: str = "coarse"
    version: str = "1"

    def __post_init__(self) -> None:
        channels = self.run.network.out_channels
        if not 1 <= channels <= len(COARSE_CHANNELS):
            wanted = f"1 to {len(COARSE_CHANNELS)} ({', '.join(COARSE_CHANNELS)})"
            msg = f"network.out_channels must be {wanted}, got {channels}"
            raise SettingsError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class BodySettings:
    """What the two networks that look at one body have in common."""

    run: TrainingSettings
    data: DataSettings = field(default_factory=DataSettings)
    loss: PointLoss = field(default_factory=PointLoss)
    bank_mm: float = 0.3
    squash_rate: float = 0.45
    """How often a body is compressed in the picture."""
    squash_largest: float = 0.5
    """Largest part of its height that a body loses so."""
    squash_gain: float = 0.12
    """Largest part of its height that a body gains so."""
    fractured: float = 0.0
    """How often a picture shows a fractured body of a film that has some; else any body does."""
    upside_down: float = 0.15
    """How often a body is shown upside down."""
    degraded: float = 0.0
    """How often a picture is grainy, smeared or lossily compressed."""
    overlaid: float = 0.0
    """How often what another film shows beside its spine lies over a picture."""
    worn: float = 0.0
    """How often a disc next to the body is narrowed, slipped or between dense endplates."""
    crests: float = 0.0
    """How often a bony border crosses a picture, as the iliac crest crosses L5."""
    version: str = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsSettings(BodySettings):
    """Settings file of ``vertebrometer train points``."""

    negatives: float = 0.12
    """How often a crop shows no body."""
    validation_samples: int = 600
    name: str = "points"

    def __post_init__(self) -> None:
        if self.run.network.heads.levels != len(LEVELS):
            msg = f"network.heads.levels must be {len(LEVELS)}, one for each of {LEVELS[0]} to {LEVELS[-1]}"
            raise SettingsError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class CornerSettings(BodySettings):
    """Settings file of ``vertebrometer train corners``."""

    validation_samples: int = 400
    name: str = "corners"


def run_segmentation(config: Path, *, resume: bool = False, show_progress: bool = True) -> Path:
    """Train the network that finds bodies, as the settings file says, and return its ONNX file.

    Raises
    ------
    SettingsError
        The settings are wrong, or the run's folder is in use and `resume` is not asked for.
    """
    settings = read_settings(config, SegmentationSettings)
    run = _placed(settings.run, config.parent)
    banks = load_banks(settings.data, pixel_mm=settings.bank_mm, base=config.parent)
    source = _view_source(settings, FilmChoice(banks.training, settings.data.weights))
    held_out = _view_source(settings, _validation_choice(banks, settings.data))
    batches = fixed_batches(held_out, samples=settings.validation_samples, batch_size=16, seed=7)
    _fit(
        run,
        source,
        settings.loss,
        MaskScore(batches),
        draw_masks,
        base=config.parent,
        resume=resume,
        show=show_progress,
    )
    return export_segmentation(settings, run.out, trained_on(settings.data, _counted(settings.data, banks)))


def run_points(config: Path, *, resume: bool = False, show_progress: bool = True) -> Path:
    """Train the network that measures one body, as the settings file says, and return its ONNX file."""
    return train_points(
        read_settings(config, PointsSettings), base=config.parent, resume=resume, show_progress=show_progress
    )


def train_points(
    settings: PointsSettings, *, base: Path, resume: bool = False, show_progress: bool = True
) -> Path:
    """Train as settings at hand say, whose paths are relative to `base`; see `run_points`."""
    banks = load_banks(settings.data, pixel_mm=settings.bank_mm, base=base)
    source = replace(_bodies(settings, banks), negatives=settings.negatives)
    held_out = _held_out_bodies(settings, banks)
    batches = fixed_batches(held_out, samples=settings.validation_samples, batch_size=50, seed=7)
    run = _placed(settings.run, base)
    score = PointScore(batches)
    _fit(run, source, settings.loss, score, draw_points, base=base, resume=resume, show=show_progress)
    return export_points(settings, run.out, trained_on(settings.data, _counted(settings.data, banks)))


def run_corners(config: Path, *, resume: bool = False, show_progress: bool = True) -> Path:
    """Train the network that looks closely at each point, as the settings file says; return its ONNX file."""
    settings, base = read_settings(config, CornerSettings), config.parent
    banks = load_banks(settings.data, pixel_mm=settings.bank_mm, base=base)
    source, held_out = (
        CornerSource.of(each) for each in (_bodies(settings, banks), _held_out_bodies(settings, banks))
    )
    batches = fixed_batches(held_out, samples=settings.validation_samples, batch_size=50, seed=7)
    run = _placed(settings.run, base)
    score = PointScore(batches)
    _fit(run, source, settings.loss, score, draw_patches, base=base, resume=resume, show=show_progress)
    return export_corners(settings, run.out, trained_on(settings.data, _counted(settings.data, banks)))


def export_segmentation(settings: SegmentationSettings, out: Path, sources: Sequence[TrainedOn]) -> Path:
    """Write the checkpoint that the settings name as ONNX with its card."""
    network, facts = load_network(_checkpoint(settings.run, out))
    config = cast("NetworkConfig", network.config)
    canvas = settings.view == "canvas"
    card = card_for(
        network,
        config,
        name=settings.name,
        version=settings.version,
        input_card=InputCard(
            scale="canvas" if canvas else "mm",
            pixel_mm=None if canvas else COARSE_PIXEL_MM,
            rows_px=settings.side_px if canvas else None,
            cols_px=settings.side_px if canvas else None,
            multiple_of_px=config.multiple_of,
            clahe_clip=2.0,
            clahe_tiles=8,
            grey="(v - 0.5) / 0.25, where v is 0 air-dark to 1 bone-bright",
        ),
        outputs=["mask"],
        trained_on=sources,
        terms=_TERMS,
        metrics=facts["metrics"],
        notes=f"channels of mask, as logits: {', '.join(COARSE_CHANNELS[: config.out_channels])}"
        + _started(settings.run, out),
    )
    path = out / f"{settings.name}.onnx"
    side = settings.side_px // config.multiple_of * config.multiple_of
    export_onnx(network, torch.rand(2, 1, side, side), ["mask"], card, path, any_size=not canvas, half=True)
    return path


def export_points(settings: PointsSettings, out: Path, sources: Sequence[TrainedOn]) -> Path:
    """Write the checkpoint that the settings name as ONNX with its card."""
    return _export_body(
        settings,
        out,
        sources,
        side_px=CROP_SIDE_PX,
        body_px=DEPTH_SHARE * CROP_SIDE_PX,
        looks=1,
        grey="mean 0 and SD 1 over the crop, air dark and bone bright",
        outputs=_POINT_OUTPUTS,
        notes="front of the spine on the left, superior endplate on top; body_px is the depth of the body",
    )


def export_corners(settings: CornerSettings, out: Path, sources: Sequence[TrainedOn]) -> Path:
    """Write the checkpoint that the settings name as ONNX with its card."""
    return _export_body(
        settings,
        out,
        sources,
        side_px=PATCH_SIDE_PX,
        body_px=PATCHES_PER_DEPTH,
        looks=len(POINT_NAMES),
        grey="mean 0 and SD 1 over the wide patch, air dark and bone bright",
        outputs=_CORNER_OUTPUTS,
        notes="six points, a close and a wide patch of each; front of the spine on the left, inferior "
        "patches upside down; body_px is the depth of the body",
    )


def _export_body(
    settings: PointsSettings | CornerSettings,
    out: Path,
    sources: Sequence[TrainedOn],
    *,
    side_px: int,
    body_px: float,
    looks: int,
    grey: str,
    outputs: Sequence[str],
    notes: str,
) -> Path:
    """Export a network that sees `looks` pictures of a body at once, one after the other in its channels."""
    network, facts = load_network(_checkpoint(settings.run, out))
    config = cast("NetworkConfig", network.config)
    channels = looks * config.in_channels
    card = card_for(
        network,
        config,
        name=settings.name,
        version=settings.version,
        input_card=InputCard(
            scale="body",
            rows_px=side_px,
            cols_px=side_px,
            multiple_of_px=config.multiple_of,
            channels=channels,
            body_px=body_px,
            grey=grey,
        ),
        outputs=outputs,
        trained_on=sources,
        terms=_TERMS,
        metrics=facts["metrics"],
        notes=notes + _started(settings.run, out),
    )
    path = out / f"{settings.name}.onnx"
    export_onnx(
        network, torch.rand(2, channels, side_px, side_px), outputs, card, path, any_size=False, half=True
    )
    return path


_TERMS = (
    "Apache-2.0 as far as the authors hold rights; part of the training films came without licence text "
    "and part of the CT under CC BY-SA 4.0, see trained_on. Research use only."
)


def _checkpoint(run: TrainingSettings, out: Path) -> Path:
    return out / (LAST if run.exported == "last" else BEST)


_ORIGIN = "origin.txt"
"""Words on the weights that a run learned on from: others may be shipped when it is exported."""


def note_origin(out: Path, words: str) -> None:
    """Note what weights a run learns on from, for its card."""
    out.mkdir(parents=True, exist_ok=True)
    (out / _ORIGIN).write_text(words, encoding="utf-8")


def _started(run: TrainingSettings, out: Path) -> str:
    """Words on the weights that a run learned on from; what these saw counts too."""
    if not run.start_from:
        return ""
    told = out / _ORIGIN
    if told.exists():
        return f"; {told.read_text(encoding='utf-8')}"
    return f"; learned on from {run.start_from}, whose card says what it saw"


def _counted(data: DataSettings, banks: Banks) -> Counter[str]:
    """Count the films of each group, those of surfaces apart from the CT that they are drawn with."""
    films = Counter(film.group for film in banks.training)
    films["surface"] = sum(spine.films * len(spine.densities) for spine in data.surfaces)
    films["ct"] -= films["surface"]
    return films


def trained_on(data: DataSettings, groups: Mapping[str, int]) -> list[TrainedOn]:
    """Say what a run saw, for its card; `groups` counts its films ("surface" apart from "ct")."""
    out = [TrainedOn(name="vertebrometer phantoms", terms="Apache-2.0", films=groups.get("phantom", 0))]
    if data.others:
        name = "frontal spines, chests, hands, noise, text and scenes drawn by vertebrometer"
        out.append(TrainedOn(name=name, terms="Apache-2.0", films=groups.get("other", 0)))
    if data.films:
        out.append(TrainedOn(name=data.films_credit, terms=data.films_terms, films=groups.get("real", 0)))
    if data.ct:
        out.append(TrainedOn(name=data.ct_credit, terms=data.ct_terms, films=groups.get("ct", 0)))
    if data.surfaces:
        name, terms = data.surfaces_credit, data.surfaces_terms
        out.append(TrainedOn(name=name, terms=terms, films=groups.get("surface", 0)))
    return out


def _placed(run: TrainingSettings, base: Path) -> TrainingSettings:
    """Paths in a settings file are relative to its folder."""
    return replace(run, out=base / run.out)


def _view_source(settings: SegmentationSettings, choose: FilmChoice) -> SampleSource:
    channels = settings.run.network.out_channels
    if settings.view == "canvas":
        return CanvasSource(choose, side_px=settings.side_px, channels=channels)
    return CoarseSource(choose, side_px=settings.side_px, channels=channels, degraded=settings.degraded)


def _bodies(settings: BodySettings, banks: Banks) -> BodySource:
    return BodySource(
        FilmChoice(banks.training, settings.data.weights),
        squash_rate=settings.squash_rate,
        squash_largest=settings.squash_largest,
        squash_gain=settings.squash_gain,
        fractured=settings.fractured,
        upside_down=settings.upside_down,
        degraded=settings.degraded,
        overlaid=settings.overlaid,
        worn=settings.worn,
        crests=settings.crests,
    )


def _held_out_bodies(settings: BodySettings, banks: Banks) -> BodySource:
    return BodySource(_validation_choice(banks, settings.data), strength=0.5, squash_rate=0.3)


def _validation_choice(banks: Banks, data: DataSettings) -> FilmChoice:
    share = data.validation_real_share
    return FilmChoice(banks.validation, {"phantom": 1 - share, "real": share})


def _fit(
    run: TrainingSettings,
    source: SampleSource,
    loss: LossOf,
    validate: Validate,
    draw: Draw,
    *,
    base: Path,
    resume: bool,
    show: bool,
) -> Fitted:
    last = run.out / LAST
    network = build_network(run.network)
    if run.start_from and not last.exists():
        views = fixed_batches(source, samples=_STATISTICS, batch_size=_STATISTICS, seed=run.seed)
        note_origin(run.out, start(network, run.start_from, base, views[0]["image"]))
    return fit(
        network,
        source,
        loss_of=loss,
        settings=run,
        validate=validate,
        draw=draw,
        resume=last if resume and last.exists() else None,
        show_progress=show,
    )
