"""Applies phantom settings: the film and its exact truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vertebrometer.anatomy import BodyTruth, Facing, FilmTruth, SixPoints
from vertebrometer.errors import UnknownNameError
from vertebrometer.evaluation.rasters import polygon_mask
from vertebrometer.geometry import Affine
from vertebrometer.phantom.bones import (
    draw_arches,
    draw_bodies,
    draw_pelvis,
    draw_ribs,
    draw_sacrum,
    trabecular_texture,
)
from vertebrometer.phantom.canvas import Canvas
from vertebrometer.phantom.film import expose, mark, process, shut, smear, uncovered
from vertebrometer.phantom.settings import (
    FIELD_WEIGHTS,
    FIELDS,
    FRACTURE_RATE,
    PhantomSettings,
    draw_phantom,
)
from vertebrometer.phantom.spine import PlacedBody, Spine, stack
from vertebrometer.phantom.surroundings import (
    draw_aorta,
    draw_arms,
    draw_cement,
    draw_rods,
    draw_soft_tissue,
    implants,
)
from vertebrometer.radiographs import PixelSpacing, Radiograph, SpacingSource
from vertebrometer.types import BoolMask, FloatArray, LabelMap, PointsRC


@dataclass(frozen=True, slots=True, eq=False)
class Phantom:
    """A synthetic film, what is truly on it, and what it was made of."""

    radiograph: Radiograph
    truth: FilmTruth
    settings: PhantomSettings

    def labels(self) -> LabelMap:
        """Return the masks of the bodies as one map: n marks the n-th body of the truth, from the top."""
        labels = np.zeros(self.truth.shape, np.int32)
        for number, body in enumerate(self.truth.bodies, 1):
            labels[polygon_mask(body.contour_rc, self.truth.shape)] = number
        return labels


def numbered_settings(
    seed: int, number: int, *, fields: Sequence[str] = (), fracture_rate: float = FRACTURE_RATE
) -> PhantomSettings:
    """Draw film `number` of the set that `seed` names; how many films the set has does not matter.

    No film of such a set is one that `phantom_of` makes, whatever the seeds, so
    that what is measured on a set was never trained on.

    Parameters
    ----------
    seed, number : int
        Both from 0.
    fields : sequence of str
        Keys of `FIELDS` to draw from, by their usual weights; all when empty.
    fracture_rate : float
        Fraction of spines that carry fractures.

    Raises
    ------
    UnknownNameError
        There is no such field.
    """
    for name in fields:
        if name not in FIELDS:
            raise UnknownNameError(kind="field", name=name, known=FIELDS)
    names = [name for name in FIELDS if not fields or name in fields]
    weights = np.array([FIELD_WEIGHTS[name] for name in names])
    # A sequence with a spawn key is by construction none of those that a bare seed starts.
    for_field, for_film = (
        np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, part))) for part in range(2)
    )
    field = str(for_field.choice(names, p=weights / weights.sum()))
    return draw_phantom(for_film, field=field, fracture_rate=fracture_rate)


def phantom_of(seed: int, *, field: str | None = None, pixel_mm: float | None = None) -> Phantom:
    """Draw and make one phantom; the same seed gives the same film."""
    return make_phantom(draw_phantom(np.random.default_rng(seed), field=field, pixel_mm=pixel_mm))


def make_phantom(settings: PhantomSettings) -> Phantom:
    """Make the film that `settings` describe, and its truth in pixels of that film."""
    view = settings.view
    spine, canvas, held, rng = _prepared(settings)
    _draw_patient(canvas, spine, settings, held, rng)
    log_film = expose(canvas.attenuation, settings.imaging, view.pixel_mm, rng)
    film = process(log_film, canvas.attenuation > 1.5, settings.imaging, view.pixel_mm, rng)
    if not view.anterior_left:
        film = film[:, ::-1].copy()
    film = mark(shut(film, view), settings.marks, view.pixel_mm, rng)
    film = smear(film, settings.imaging.smear, rng)
    steps = 2**settings.imaging.bits - 1
    radiograph = Radiograph(
        image=np.asarray(np.round(film * steps) / steps, dtype=np.float32),
        spacing=PixelSpacing(view.pixel_mm, view.pixel_mm, SpacingSource.CALIBRATED),
        name="phantom",
        facts={"field": view.field},
    )
    return Phantom(radiograph, truth_of(settings), settings)


def truth_of(settings: PhantomSettings) -> FilmTruth:
    """Return what is truly on the film that `settings` describe, without making it."""
    spine, canvas, held, _ = _prepared(settings)
    truth = _truth(canvas, spine, settings, {id(body) for body in held})
    return truth if settings.view.anterior_left else mirrored(truth)


def _prepared(settings: PhantomSettings) -> tuple[Spine, Canvas, list[PlacedBody], np.random.Generator]:
    """Return the spine in its place, an empty canvas, the bodies that rods hold, and what chance is left."""
    rng = np.random.default_rng(settings.texture_seed)
    spine = stack(
        list(settings.bodies), sacral_slope_deg=settings.sacral_slope_deg, compensation=settings.compensation
    )
    return spine, _canvas(spine, settings), implants(spine, settings.rods, rng), rng


def _draw_patient(
    canvas: Canvas, spine: Spine, settings: PhantomSettings, held: list[PlacedBody], rng: np.random.Generator
) -> None:
    habitus = settings.habitus
    texture = trabecular_texture(rng, canvas.shape, canvas.pixel_mm)
    draw_soft_tissue(canvas, spine, habitus, rng)
    draw_bodies(canvas, spine, texture)
    draw_arches(canvas, spine, rng, texture)
    draw_sacrum(canvas, spine, settings, texture)
    draw_ribs(canvas, spine, habitus.rib_strength, rng)
    draw_pelvis(canvas, spine, habitus.pelvis, rng)
    if habitus.arms:
        draw_arms(canvas, spine, rng)
    if habitus.aorta > 0:
        draw_aorta(canvas, spine, habitus.aorta, rng)
    for body in spine.bodies:
        if body.shape.implant == "cement":
            draw_cement(canvas, body, rng)
    if held:
        draw_rods(canvas, held, rng)


def _canvas(spine: Spine, settings: PhantomSettings) -> Canvas:
    """Turn the spine upright, tilt it as asked and put the field of view over its levels."""
    view = settings.view
    first, last = FIELDS[view.field]
    levels = [body.shape.level for body in spine.bodies]
    top = spine.bodies[levels.index(first)].centre_mm
    bottom = (
        spine.s1_endplate_mm.mean(axis=0)
        if last == "S1"
        else spine.bodies[levels.index(_last(levels, last))].centre_mm
    )
    lean = np.rad2deg(np.arctan2(*(bottom - top)[::-1]))
    middle = (top + bottom) / 2 + np.array(view.centre_mm)
    film_centre = (np.array([view.rows, view.cols]) - 1) / 2
    turn = settings.lean_deg - lean + view.tilt_deg
    to_film = Affine.about(middle, film_centre, turn_deg=float(turn), zoom=1 / view.pixel_mm)
    return Canvas(
        shape=(view.rows, view.cols),
        pixel_mm=view.pixel_mm,
        to_film=to_film,
        beam_rc=film_centre,
        source_distance_mm=view.source_distance_mm,
    )


def _last(levels: list[str], wanted: str) -> str:
    """Return the wanted level, or the lowest one there is: some spines have no L5."""
    return wanted if wanted in levels else levels[-1]


def _truth(canvas: Canvas, spine: Spine, settings: PhantomSettings, held: set[int]) -> FilmTruth:
    view = settings.view
    open_field = uncovered(view, settings.marks)
    # Bodies are placed with the front on the left; the film is mirrored after that.
    open_field = open_field if view.anterior_left else open_field[:, ::-1]
    bodies = []
    for body in spine.bodies:
        contour = canvas.place(body.outline_mm())
        if not _touches(contour, open_field):
            continue
        implant = "metal" if id(body) in held else body.shape.implant
        bodies.append(
            BodyTruth(
                level=body.shape.level,
                points=SixPoints(canvas.place(body.six_points_mm().points_rc)),
                contour_rc=contour,
                whole=_inside(contour, open_field),
                fracture=body.shape.fracture,
                implant=implant,
            )
        )
    s1 = canvas.place(spine.s1_endplate_mm)
    return FilmTruth(
        file="",
        shape=(view.rows, view.cols),
        bodies=tuple(bodies),
        facing=Facing.LEFT,
        s1_endplate_rc=s1 if _inside(s1, open_field) else None,
    )


def _inside(points_rc: PointsRC, open_field: BoolMask) -> bool:
    rounded = np.round(points_rc).astype(int)
    rows, cols = open_field.shape
    within = (rounded >= 0).all() and (rounded[:, 0] < rows).all() and (rounded[:, 1] < cols).all()
    return bool(within and open_field[rounded[:, 0], rounded[:, 1]].all())


def _touches(points_rc: PointsRC, open_field: BoolMask) -> bool:
    rows, cols = open_field.shape
    kept = np.round(points_rc).astype(int)
    kept = kept[(kept >= 0).all(axis=1) & (kept[:, 0] < rows) & (kept[:, 1] < cols)]
    return bool(len(kept) and open_field[kept[:, 0], kept[:, 1]].any())


def mirrored(truth: FilmTruth) -> FilmTruth:
    """Return the truth of the mirrored film."""
    width = truth.shape[1]

    def flip(points_rc: FloatArray) -> FloatArray:
        return np.column_stack([points_rc[:, 0], width - 1 - points_rc[:, 1]])

    return replace(
        truth,
        facing=truth.facing.opposite,
        bodies=tuple(
            replace(body, points=SixPoints(flip(body.points.points_rc)), contour_rc=flip(body.contour_rc))
            for body in truth.bodies
        ),
        s1_endplate_rc=None if truth.s1_endplate_rc is None else flip(truth.s1_endplate_rc),
    )
