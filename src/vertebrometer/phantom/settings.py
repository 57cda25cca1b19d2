"""What a phantom film is made of: plain numbers, drawn first and applied later.

`draw_phantom` chooses; `make_phantom` applies. The same settings give the same
film, always.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from vertebrometer.errors import UnknownNameError
from vertebrometer.phantom.spine import NORMS, BodyShape, Fracture, fractured

FIELDS: Final[dict[str, tuple[str, str]]] = {
    "lumbar": ("T10", "S1"),
    "thoracolumbar": ("T7", "L5"),
    "thoracic": ("T2", "L2"),
    "whole-spine": ("C3", "S1"),
    "dxa": ("T4", "S1"),
}
"""Named fields of view with the first and last level that they usually show."""

FIELD_WEIGHTS: Final[dict[str, float]] = {
    "lumbar": 0.36,
    "thoracolumbar": 0.22,
    "thoracic": 0.16,
    "whole-spine": 0.16,
    "dxa": 0.10,
}

PHANTOM_EDITION: Final = 2
"""Grows whenever the same seed gives another film than before, so that kept films are told apart."""

FRACTURE_RATE: Final = 0.75
"""Fraction of spines that carry fractures, where nobody says otherwise."""

# Where osteoporotic fractures gather: mid-thoracic and at the thoracolumbar junction.
_FRACTURE_WEIGHT: Final[dict[str, float]] = {
    "T5": 0.5, "T6": 0.8, "T7": 1.2, "T8": 1.2, "T9": 0.8, "T10": 0.8, "T11": 1.4, "T12": 2.4,
    "L1": 2.4, "L2": 1.6, "L3": 1.2, "L4": 1.0, "L5": 0.5,
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ViewSettings:
    """What of the patient the film shows, and how it is stored."""

    field: str
    pixel_mm: float
    rows: int
    cols: int
    centre_mm: tuple[float, float]
    """Centre of the film in the spine's frame, before tilt."""
    tilt_deg: float
    anterior_left: bool
    source_distance_mm: float
    """From the source to the plane of the spine; nearer magnifies the near side more."""
    collimation: tuple[float, float, float, float]
    """Uncovered part of the film at top, bottom, left, right, as fractions of its sides."""
    collimation_bright: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyHabitus:
    """Soft tissue around the spine, in mm and relative densities."""

    trunk_depth_mm: float
    trunk_width_mm: float
    back_mm: float
    """From the mid of the spine to the skin of the back."""
    diaphragm_level: str
    lung: float
    """0 no lung to 1 fully aerated."""
    rib_strength: float
    shoulder: float
    bowel_gas: int
    pelvis: float
    heart: float
    aorta: float
    arms: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ImagingSettings:
    """Physics and processing from attenuation to displayed grey."""

    photons: float
    """Per mm^2 at the detector in air, in arbitrary thousands."""
    scatter: float
    """Scattered over primary at the mean thickness."""
    blur_mm: float
    unsharp: float
    unsharp_mm: float
    edge: float
    """Extra enhancement of fine edges."""
    gamma: float
    window_low_pct: float
    window_high_pct: float
    contrast_field: float
    """Strength of a slow multiplicative unevenness."""
    bits: int
    monochrome1: bool
    smear: float
    """Strength of horizontal smears of lossy storage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MarkSettings:
    """What is burned into the film on top of the patient."""

    letters: int
    ruler: bool
    grid_mm: float
    """0 for none."""
    seam_at: float
    """Fraction of the rows at which two exposures are stitched; 0 for none."""
    border_px: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PhantomSettings:
    """Everything that makes one phantom film."""

    bodies: tuple[BodyShape, ...]
    sacral_slope_deg: float
    compensation: float
    lean_deg: float
    view: ViewSettings
    habitus: BodyHabitus
    imaging: ImagingSettings
    marks: MarkSettings
    rods: bool
    texture_seed: int


def draw_phantom(
    rng: np.random.Generator,
    *,
    field: str | None = None,
    fracture_rate: float = FRACTURE_RATE,
    pixel_mm: float | None = None,
) -> PhantomSettings:
    """Choose one phantom film.

    Parameters
    ----------
    rng : numpy.random.Generator
        The only source of chance.
    field : str, optional
        A key of `FIELDS`; drawn by `FIELD_WEIGHTS` when not given.
    fracture_rate : float
        Fraction of spines that carry fractures.
    pixel_mm : float, optional
        Pixel size; drawn between 0.1 and 0.4 mm (whole spine from 0.14, DXA 0.15 to 0.6) when not given.

    Raises
    ------
    UnknownNameError
        There is no such field.
    """
    if field is not None and field not in FIELDS:
        raise UnknownNameError(kind="field", name=field, known=FIELDS)
    names = list(FIELDS)
    drawn = str(rng.choice(names, p=[FIELD_WEIGHTS[name] for name in names]))
    chosen = drawn if field is None else field
    bodies = _draw_bodies(rng, fracture_rate)
    rods = bool(rng.random() < 0.06)
    view = _draw_view(rng, chosen, pixel_mm)
    return PhantomSettings(
        bodies=bodies,
        sacral_slope_deg=float(rng.normal(-38, 8)),
        compensation=float(rng.uniform(0.1, 0.7)),
        lean_deg=float(rng.normal(0, 4)),
        view=view,
        habitus=_draw_habitus(rng),
        imaging=_draw_imaging(rng, dxa=chosen == "dxa"),
        marks=_draw_marks(rng, chosen),
        rods=rods,
        texture_seed=int(rng.integers(2**31)),
    )


def _draw_bodies(rng: np.random.Generator, fracture_rate: float) -> tuple[BodyShape, ...]:
    levels = [name for name in NORMS if name not in ("T13", "L6")]
    variant = rng.random()
    if variant < 0.03:
        levels.insert(levels.index("L1"), "T13")
    elif variant < 0.07:
        levels.append("L6")
    elif variant < 0.10:
        levels.remove("L5")
    size, depth = rng.normal(1.0, 0.075), rng.normal(1.0, 0.05)
    age = rng.uniform(0, 1)
    bend, twist = rng.normal(0, 3.0) * rng.choice([1, 3], p=[0.85, 0.15]), rng.normal(0, 4.0)
    phase = rng.uniform(0, 2 * np.pi)
    shapes = [
        _draw_body(
            rng, level, number / len(levels), build=(size, depth), age=age, scoliosis=(bend, twist, phase)
        )
        for number, level in enumerate(levels)
    ]
    if rng.random() < fracture_rate:
        _break(rng, shapes)
    if rng.random() < 0.08:
        _slip(rng, shapes)
    return tuple(shapes)


def _draw_body(
    rng: np.random.Generator,
    level: str,
    place: float,
    *,
    build: tuple[float, float],
    age: float,
    scoliosis: tuple[float, float, float],
) -> BodyShape:
    norm = NORMS[level]
    size, depth = build
    bend, twist, phase = scoliosis
    own = size * rng.normal(1.0, 0.025)
    posterior = norm.posterior_mm * own
    anterior = posterior * (norm.anterior_mm / norm.posterior_mm) * rng.normal(1.0, 0.04)
    middle = min(
        posterior * (norm.middle_mm / norm.posterior_mm) * rng.normal(1.0, 0.03), (anterior + posterior) / 2
    )
    middle *= 1 - 0.05 * age * rng.random()
    spurs = np.maximum(0, rng.normal(-1.0, 2.2, 4)) * age * (1.3 if level[0] == "L" else 0.8)
    lean = bend * np.sin(2 * np.pi * place * 1.3 + phase)
    spin = twist * np.cos(2 * np.pi * place * 1.1 + phase)
    return BodyShape(
        level=level,
        anterior_mm=float(anterior),
        middle_mm=float(middle),
        posterior_mm=float(posterior),
        superior_depth_mm=float(norm.depth_mm * size * depth * rng.normal(0.985, 0.02)),
        inferior_depth_mm=float(norm.depth_mm * size * depth * rng.normal(1.02, 0.02)),
        width_mm=float(norm.width_mm * size * rng.normal(1, 0.03)),
        waist=float(np.clip(rng.normal(0.06, 0.03), 0.0, 0.14)),
        concavity_skew=float(rng.uniform(-0.8, 0.8)),
        superior_share=float(rng.uniform(0.35, 0.65)),
        disc_mm=float(max(1.2, norm.disc_mm * size * (1 - 0.35 * age * rng.random()) * rng.normal(1, 0.1))),
        disc_wedge_deg=float(norm.disc_wedge_deg * rng.normal(1.0, 0.2) + rng.normal(0.4, 1.4)),
        osteophytes_mm=(float(spurs[0]), float(spurs[1] * 0.4), float(spurs[2] * 0.4), float(spurs[3])),
        ripple_seed=int(rng.integers(2**31)),
        ripple_mm=float(np.clip(rng.normal(0.15, 0.15), 0, 0.5)),
        rotation_deg=float(spin + rng.normal(0, 2.0)),
        tilt_deg=float(lean + rng.normal(0, 1.2)),
        trabecular_hu=float(np.clip(rng.normal(190 - 120 * age, 35), 25, 330)),
        cortex_mm=float(rng.uniform(0.45, 1.1)),
    )


def _break(rng: np.random.Generator, shapes: list[BodyShape]) -> None:
    """Break one to four bodies in place, as osteoporosis does: often neighbours."""
    weights = np.array(
        [_FRACTURE_WEIGHT.get(shape.level, 0.05 if shape.level[0] != "C" else 0.0) for shape in shapes]
    )
    number = int(rng.choice([1, 2, 3, 4], p=[0.5, 0.27, 0.15, 0.08]))
    for place in rng.choice(len(shapes), size=number, replace=False, p=weights / weights.sum()):
        kind = str(rng.choice(["wedge", "biconcave", "crush"], p=[0.55, 0.27, 0.18]))
        loss = float(np.clip(rng.gamma(2.2, 0.13), 0.03, 0.60))
        broken = fractured(shapes[place], Fracture(kind, loss, posterior_share=float(rng.uniform(0.0, 0.35))))
        shapes[place] = replace(
            broken,
            ripple_mm=float(rng.uniform(0.1, 1.0)),
            trabecular_hu=broken.trabecular_hu * float(rng.uniform(1.0, 1.6)),
            superior_share=float(rng.uniform(0.35, 0.9)),
            concavity_skew=float(rng.uniform(-1, 1)),
            implant="cement" if rng.random() < 0.08 else "none",
        )


def _slip(rng: np.random.Generator, shapes: list[BodyShape]) -> None:
    names = [shape.level for shape in shapes]
    place = names.index(str(rng.choice(["L3", "L4"])))
    shapes[place] = replace(shapes[place], slip_mm=float(rng.uniform(-4, 9)))


def _draw_view(rng: np.random.Generator, field: str, pixel_mm: float | None) -> ViewSettings:
    high, wide = {
        "lumbar": (rng.uniform(240, 440), rng.uniform(150, 360)),
        "thoracolumbar": (rng.uniform(320, 440), rng.uniform(160, 360)),
        "thoracic": (rng.uniform(330, 440), rng.uniform(180, 380)),
        "whole-spine": (rng.uniform(640, 900), rng.uniform(300, 420)),
        "dxa": (rng.uniform(330, 480), rng.uniform(100, 190)),
    }[field]
    # A whole spine at 0.1 mm would have more pixels than any console stores.
    finest = 0.14 if field == "whole-spine" else 0.10
    drawn = float(np.exp(rng.uniform(np.log(finest), np.log(0.40))))
    if field == "dxa":
        drawn *= 1.5
    pixel = drawn if pixel_mm is None else pixel_mm
    shutter = rng.uniform(0.0, 0.12, 4) * (rng.random(4) < 0.3)
    return ViewSettings(
        field=field,
        pixel_mm=pixel,
        rows=round(high / pixel),
        cols=round(wide / pixel),
        centre_mm=(float(rng.normal(0, 12)), float(rng.normal(0, 0.09) * wide)),
        tilt_deg=float(rng.normal(0, 3.5)),
        anterior_left=bool(rng.random() < 0.5),
        source_distance_mm=float(rng.uniform(850, 1700)),
        collimation=tuple(float(s) for s in shutter),  # type: ignore[arg-type]
        collimation_bright=bool(rng.random() < 0.5),
    )


def _draw_habitus(rng: np.random.Generator) -> BodyHabitus:
    return BodyHabitus(
        trunk_depth_mm=float(rng.uniform(190, 330)),
        trunk_width_mm=float(rng.uniform(250, 420)),
        back_mm=float(rng.uniform(65, 110)),
        diaphragm_level=str(rng.choice(["T9", "T10", "T11", "T12", "L1"], p=[0.1, 0.25, 0.3, 0.25, 0.1])),
        lung=float(rng.uniform(0.3, 1.0)),
        rib_strength=float(rng.uniform(0.5, 2.6)),
        shoulder=float(rng.uniform(0.3, 1.4)),
        bowel_gas=int(rng.integers(0, 10)),
        pelvis=float(rng.uniform(0.5, 1.4)),
        heart=float(rng.uniform(0, 1)),
        aorta=float(max(0.0, rng.uniform(-1.0, 1.0))),
        arms=bool(rng.random() < 0.3),
    )


def _draw_imaging(rng: np.random.Generator, *, dxa: bool) -> ImagingSettings:
    return ImagingSettings(
        photons=float(np.exp(rng.uniform(np.log(110), np.log(5000)))) * (0.3 if dxa else 1.0),
        scatter=float(rng.uniform(0.1, 0.9)),
        blur_mm=float(rng.uniform(0.12, 0.6)) + (0.4 if dxa else 0.0),
        unsharp=float(1 - np.exp(rng.uniform(np.log(0.10), np.log(0.75)))),
        unsharp_mm=float(rng.uniform(10, 30)),
        edge=float(max(0.0, rng.uniform(-0.5, 1.2))),
        gamma=float(np.exp(rng.normal(0, 0.25))),
        window_low_pct=float(rng.choice([rng.uniform(0.1, 3), rng.uniform(2, 14)])),
        window_high_pct=float(rng.uniform(97.5, 99.9)),
        contrast_field=float(max(0.0, rng.uniform(-0.1, 0.35))),
        bits=int(rng.choice([8, 10, 12, 14, 16])),
        monochrome1=bool(rng.random() < 0.4),
        smear=float(max(0.0, rng.uniform(-3.0, 1.0))),
    )


def _draw_marks(rng: np.random.Generator, field: str) -> MarkSettings:
    whole = field == "whole-spine"
    return MarkSettings(
        letters=int(rng.choice([0, 1, 2, 4])),
        ruler=bool(rng.random() < 0.12),
        grid_mm=float(rng.choice([20.0, 50.0])) if rng.random() < (0.4 if whole else 0.06) else 0.0,
        seam_at=float(rng.uniform(0.3, 0.7)) if rng.random() < (0.5 if whole else 0.02) else 0.0,
        border_px=int(rng.integers(0, 30)) if rng.random() < 0.2 else 0,
    )
