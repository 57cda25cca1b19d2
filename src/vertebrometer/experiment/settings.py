"""One experiment as a value: films, split, systems, and how long each is trained."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final, Literal

from vertebrometer.errors import SettingsError
from vertebrometer.networks.settings import NetworkConfig
from vertebrometer.phantom import FRACTURE_RATE
from vertebrometer.training.settings import TrainingSettings
from vertebrometer.triplets import LabelSettings, TripletView


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomFilms:
    """Phantoms; each is a patient of its own. None is one that shipped networks were trained on."""

    count: int
    seed: int = 2026
    fields: tuple[str, ...] = ("lumbar", "thoracolumbar")
    fracture_rate: float = FRACTURE_RATE
    """Fraction of spines with one to four fractures, of any severity."""

    def __post_init__(self) -> None:
        if self.count < 0 or self.seed < 0:
            msg = f"a number of phantoms and a seed from 0 are wanted, got {self.count} and {self.seed}"
            raise SettingsError(msg)
        if not 0.0 <= self.fracture_rate <= 1.0:
            msg = f"fracture_rate is a fraction of spines from 0 to 1, got {self.fracture_rate}"
            raise SettingsError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class CtFilms:
    """CT volumes with vertebra masks, projected; each volume is a patient."""

    folder: Path
    films: int
    """Together, the volumes taken in turn."""
    seed: int = 2026
    leave_out: tuple[str, ...] = ()
    credit: str = "CT of the user"
    terms: str = "not stated"


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmFolder:
    """Films of one's own: a table with a row per body, and masks or corners beside it."""

    folder: Path
    table: str = "films.csv"
    """Columns as named below; one row for each body with a value, or one row for a film without."""
    masks: str = "masks"
    """Folder of one label picture for each film, NAME.png or NAME_mask.png: 0 is background, n the n-th
    body from the top; a picture of 0 and one other value is divided into connected parts. Empty where
    corners are given."""
    corners: str = ""
    """Truth file with the corners of the bodies, as `vertebrometer phantom` writes it."""
    film: str = "film"
    patient: str = "patient"
    body: str = "body"
    """Number of the body from the top, or its level where corners are given."""
    vc: str = "vc"
    """Compression in percent, signed. Empty: equation 1 from the corners."""
    split: str = ""
    """Column that says train, validation or test; empty lets the experiment draw."""
    facing: str = ""
    """Column that says left or right, where the front of the spine is; empty: from the corners, else left."""
    credit: str = "films of the user"
    terms: str = "not stated"

    def __post_init__(self) -> None:
        if bool(self.masks) == bool(self.corners):
            msg = 'a folder of films has either masks or corners: set the other one to ""'
            raise SettingsError(msg)
        if not self.vc and not self.corners:
            msg = 'without a column of values (vc = "") corners are needed to compute them'
            raise SettingsError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """Where the films come from; all kinds may stand together."""

    phantoms: PhantomFilms | None = None
    ct: tuple[CtFilms, ...] = ()
    folders: tuple[FilmFolder, ...] = ()
    canvas_px: int = 512
    """"a zero padding to set the image size to a standardized 512 x 512 pixels based on the original
    ratio"."""
    clahe_clip: float = 2.0
    """"we applied contrast-limited adaptive histogram equalization (CLAHE)"; its settings are not stated."""
    clahe_tiles: int = 8
    mirror: bool = True
    """Films that face right are mirrored: figure 5 takes the left vertices for the anterior ones."""

    def __post_init__(self) -> None:
        if not (self.phantoms and self.phantoms.count) and not self.ct and not self.folders:
            msg = "no films: name phantoms, ct or folders under [data]"
            raise SettingsError(msg)
        if self.canvas_px < 32 or self.canvas_px % 16:
            msg = f"canvas_px is a multiple of 16 from 32, got {self.canvas_px}"
            raise SettingsError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSettings:
    """Who is trained on; patients are drawn, never films or triplets."""

    test_share: float = 1 / 6
    """"We divided the collected 387 images into 323 and 64, about 5:1 ratio"."""
    validation_share: float = 0.15
    """Of the patients that are left. The paper states none, but chooses among 150 epochs."""
    folds: int = 4
    """Regressors see masks from segmenters that never saw the film: as many further ones are trained."""
    seed: int = 1
    leaky: bool = True
    """Also train one regressor with the split that the paper's text describes: triplets are drawn, whoever
    they belong to, with masks of films that the segmenter was trained on."""
    leaky_share: float = 1 / 6
    """"The 945 data of 1134 data were used for training [...] and remained 189"."""

    def __post_init__(self) -> None:
        shares = (self.test_share, self.validation_share, self.leaky_share)
        if not all(0.0 < share < 1.0 for share in shares) or self.folds < 2:
            msg = f"shares between 0 and 1 and at least 2 folds are wanted, got {shares} and {self.folds}"
            raise SettingsError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class FitSettings:
    """How a network is trained: `TrainingSettings` without what each system sets itself.

    There is no time budget on purpose: a run that ends by the clock cannot be repeated.
    """

    epochs: int = 200
    steps_per_epoch: int = 100
    batch_size: int = 5
    optimiser: Literal["adam", "adamw"] = "adam"
    learning_rate: float = 1e-3
    schedule: Literal["constant", "cosine"] = "constant"
    final_rate: float = 0.01
    warmup_steps: int = 0
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    ema_decay: float = 0.0
    checkpoint_seconds: float = 120.0
    workers: int = 0
    threads: int = 0
    accelerator: Literal["auto", "cpu", "gpu"] = "auto"
    precision: Literal["auto", "32-true", "bf16-mixed"] = "auto"

    def run(self, out: Path, network: NetworkConfig, seed: int) -> TrainingSettings:
        """Return the settings of one run."""
        own = {each.name: getattr(self, each.name) for each in fields(self)}
        # Each step reads what the one before wrote, so that one process on one device does all of it.
        return TrainingSettings(out=out, network=network, seed=seed, overlay_samples=0, devices=1, **own)


TRUTH: Final = "truth"
"""In place of a segmenter: true masks."""

MACHINE_ONLY = ("checkpoint_seconds", "workers", "threads", "accelerator", "processes")
"""Settings that change how fast a system is trained, not what comes out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmenter:
    """One row of table 1."""

    name: str
    network: NetworkConfig
    fit: FitSettings | None = None
    """By default that of the experiment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Regressor:
    """One row of table 2."""

    name: str
    network: NetworkConfig
    targets: Literal["value", "heights", "residual"] = "value"
    """heights: the three anterior heights and the compression at once; wants films with corners. residual:
    what sub-pixel geometry on the same mask is wrong by, which is then added to it."""
    loss: Literal["squared", "absolute"] = "squared"
    """The paper does not state its loss; CARN's is the mean absolute error."""
    manifold: float = 0.0
    """Weight of CARN's second term: the mean distance from the label as its 20 nearest labels rebuild it."""
    neighbours: int = 20
    looks: int = 1
    """Pictures of a triplet whose answers are averaged: it as it is, then turned, moved and scaled by the
    chance of training. The paper looks once."""
    fit: FitSettings | None = None
    """By default that of the experiment."""

    def __post_init__(self) -> None:
        if self.looks < 1:
            msg = f"{self.name}: at least one look at a triplet is wanted, got {self.looks}"
            raise SettingsError(msg)
        wanted = 4 if self.targets == "heights" else 1
        if self.network.out_channels != wanted:
            got = self.network.out_channels
            msg = f"{self.name}: targets {self.targets!r} want network.out_channels = {wanted}, got {got}"
            raise SettingsError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmAugmentation:
    """Chance in films that segmenters are trained on; the paper states none."""

    turn_deg: float = 5.0
    """Standard deviation, as of shift and zoom."""
    shift: float = 0.03
    """Of the canvas."""
    zoom: float = 0.08
    grey: float = 0.5
    window_px: tuple[int, int] = (0, 0)
    """Rows and columns of the part of the canvas that a step sees, laid over the film by chance: padding
    teaches little and takes as long as film. 0, 0 shows the whole canvas, as the paper does; masks are always
    predicted on the whole."""

    def __post_init__(self) -> None:
        if min(self.window_px) < 0 or (0 in self.window_px) != (self.window_px == (0, 0)):
            msg = f"window_px is rows and columns above 0, or 0, 0 for the whole canvas; got {self.window_px}"
            raise SettingsError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class TripletAugmentation:
    """Chance in triplets that regressors are trained on; CARN shifts and turns by up to 10 degrees."""

    turn_deg: float = 10.0
    """Largest, as of shift and zoom."""
    shift: float = 0.05
    """Of the picture."""
    zoom: float = 0.08
    upside_down: float = 0.0
    """How often top and bottom change places, which leaves the compression of the middle body as it is."""

    def __post_init__(self) -> None:
        if not 0.0 <= self.upside_down <= 1.0:
            msg = f"upside_down is a share from 0 to 1, got {self.upside_down}"
            raise SettingsError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExperimentSettings:
    """Settings file of ``vertebrometer experiment``."""

    out: Path
    """Folder of everything; paths in the file are relative to the file."""
    report: Path | None = None
    """Folder of the report; `out` when not given."""
    title: str = "Vertebral compression from masks: all systems compared"
    data: DataSettings
    split: SplitSettings = field(default_factory=SplitSettings)
    seeds: tuple[int, ...] = (1,)
    """Each regressor is trained once for each."""
    labelling: LabelSettings = field(default_factory=LabelSettings)
    view: TripletView = field(default_factory=TripletView)
    film_augmentation: FilmAugmentation = field(default_factory=FilmAugmentation)
    triplet_augmentation: TripletAugmentation = field(default_factory=TripletAugmentation)
    segmentation: FitSettings = field(default_factory=FitSettings)
    segmenters: tuple[Segmenter, ...]
    masks_from: str = "best"
    """Segmenter whose masks are measured: a name, or the best mean Dice on the validation films ("R2U-net,
    which showed the highest performance, was selected based on the dice similarity coefficient"). truth
    measures true masks instead: no folds are trained, and the figures are a limit, not what comes in use."""
    regression: FitSettings = field(default_factory=FitSettings)
    regressors: tuple[Regressor, ...]
    leaky_regressor: str = ""
    """Regressor of the leaky row; by default the last one."""
    figure_regressor: str = ""
    """Regressor of figure 7; by default the last one."""
    value_scale: float = 20.0
    """Percentage points per unit of a network's output."""
    fractured_share: float = 0.0
    """Share of training samples drawn among fractured bodies; 0 takes them as often as they come."""
    truth_share: float = 0.0
    """Share of training samples that show the true mask instead of the predicted one."""
    fractured_from_percent: float = 20.0
    """Compression from which a body counts as fractured."""
    repeats: int = 1000
    """Draws of patients for 95 % intervals."""
    figure_films: int = 3
    """Rows of figure 6."""
    processes: int = 0
    """Processes that make films; 0 takes as many as there are CPUs."""

    def __post_init__(self) -> None:
        _no_twins("segmenter", [each.name for each in self.segmenters])
        _no_twins("regressor", [each.name for each in self.regressors])
        if not self.segmenters or not self.regressors or not self.seeds:
            msg = "at least one segmenter, one regressor and one seed are wanted"
            raise SettingsError(msg)
        if len(set(self.seeds)) < len(self.seeds):
            msg = f"seeds differ from one another, got {list(self.seeds)}"
            raise SettingsError(msg)
        names = {each.name for each in self.segmenters}
        if self.masks_from not in {"best", TRUTH, *names}:
            known = ", ".join(["best", TRUTH, *sorted(names)])
            msg = f"masks_from names no segmenter: {self.masks_from!r}; wanted one of {known}"
            raise SettingsError(msg)
        rows = {each.name for each in self.regressors}
        for key in ("leaky_regressor", "figure_regressor"):
            if getattr(self, key) and getattr(self, key) not in rows:
                msg = f"{key} names no regressor: {getattr(self, key)!r}; there are {', '.join(sorted(rows))}"
                raise SettingsError(msg)
        for share in ("fractured_share", "truth_share"):
            if not 0.0 <= getattr(self, share) <= 1.0:
                msg = f"{share} is a share from 0 to 1, got {getattr(self, share)}"
                raise SettingsError(msg)

    def regressor(self, name: str) -> Regressor:
        """Return a regressor by its name, or the last one for an empty name."""
        return next((each for each in self.regressors if each.name == name), self.regressors[-1])


def _no_twins(kind: str, names: list[str]) -> None:
    twins = [name for name, count in Counter(names).items() if count > 1]
    if twins:
        msg = f"two {kind}s are called {twins[0]!r}; each is a row of its own"
        raise SettingsError(msg)
    bad = [name for name in names if not name or not all(c.isalnum() or c in "-_.+" for c in name)]
    if bad:
        msg = f"{bad[0]!r} cannot name a {kind}: letters, digits, - _ . + make a folder's name"
        raise SettingsError(msg)
