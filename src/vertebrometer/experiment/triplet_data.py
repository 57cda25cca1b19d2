"""Triplets of an experiment, and the samples that regressors are trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vertebrometer.anatomy import Vertebra
from vertebrometer.compression import Compression, Definition, compressions
from vertebrometer.experiment.films import Film, unit
from vertebrometer.experiment.settings import Regressor, TripletAugmentation
from vertebrometer.geometry import Affine
from vertebrometer.training import Sample
from vertebrometer.triplets import (
    Divided,
    Drawn,
    Exclusion,
    LabelSettings,
    TripletView,
    ValuedTriplet,
    divide,
    drawn,
    label_bodies,
    labelled_truth,
    picture_of,
    view_map,
    with_values,
)
from vertebrometer.types import FloatArray, GrayImage


@dataclass(frozen=True, slots=True, eq=False)
class TripletItem:
    """One triplet with its value, and the map that it was cut from."""

    divided: Divided
    valued: ValuedTriplet
    patient: str


@dataclass(frozen=True, slots=True, eq=False)
class TripletSet:
    """All triplets of some films, and what was left out."""

    items: tuple[TripletItem, ...]
    left_out: tuple[Exclusion, ...]


def triplets_of(film: Film, share: GrayImage, settings: LabelSettings) -> TripletSet:
    """Divide a predicted map of a film into triplets, with the film's true values."""
    found = label_bodies(share, settings)
    doubt = settings.largest_doubt
    return _valued(film, divide(found, film=film.name, inside=film.inside, largest_doubt=doubt))


def true_triplets_of(film: Film) -> TripletSet:
    """Divide the true mask of a film."""
    found = labelled_truth(unit(film.share), film.labels.astype(np.int32))
    return _valued(film, divide(found, film=film.name, inside=film.inside))


def _valued(film: Film, divided: Divided) -> TripletSet:
    valued, without = with_values(divided, film.labels.astype(np.int32), film.bodies)
    items = tuple(TripletItem(divided, each, film.patient) for each in valued)
    return TripletSet(items, (*divided.left_out, *without))


def joined(sets: Sequence[TripletSet]) -> TripletSet:
    """Put the triplets of several films together."""
    return TripletSet(
        tuple(item for each in sets for item in each.items),
        tuple(exclusion for each in sets for exclusion in each.left_out),
    )


def subpixel_value(item: TripletItem) -> float | None:
    """Measure a triplet by corners between the pixels and the geometry of ``vertebrometer measure``."""
    points = [item.divided.points[number - 1] for number in item.valued.triplet.numbers]
    vertebrae = [
        Vertebra(points=six, contour_rc=six.points_rc, confidence=1.0) for six in points if six is not None
    ]
    if len(vertebrae) < 3:
        return None
    value = compressions(vertebrae)[1][Definition.ADJACENT_MEAN]
    return value.percent if isinstance(value, Compression) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Targets:
    """What a regressor is asked: the value alone, or heights before it."""

    heights: bool
    residual: bool = False
    value_scale: float
    view: TripletView

    @classmethod
    def of(cls, regressor: Regressor, value_scale: float, view: TripletView) -> Targets:
        """Return the targets of a regressor."""
        return cls(
            heights=regressor.targets == "heights",
            residual=regressor.targets == "residual",
            value_scale=value_scale,
            view=view,
        )

    def base(self, item: TripletItem) -> float | None:
        """Return what is added to an answer, in percent; None where there is no answer without it."""
        return subpixel_value(item) if self.residual else 0.0

    def wanted(self, item: TripletItem) -> tuple[FloatArray, FloatArray]:
        """Return wanted outputs and their validity; heights are shares of the picture's side."""
        base = self.base(item)
        if base is None:
            return np.zeros(1), np.zeros(1)
        value = (item.valued.percent - base) / self.value_scale
        if not self.heights:
            return np.array([value]), np.ones(1)
        fronts = item.valued.anterior_px
        if fronts is None:
            return np.array([0.0, 0.0, 0.0, value]), np.array([0.0, 0.0, 0.0, 1.0])
        to_view = view_map(item.divided.found, item.valued.triplet, self.view)
        zoom = float(np.sqrt(abs(np.linalg.det(to_view.matrix))))
        return np.array([*(front * zoom / self.view.side_px for front in fronts), value]), np.ones(4)

    def percent(self, outputs: NDArray[np.float32], base: NDArray[np.float32]) -> FloatArray:
        """Read compressions from outputs (n, k), of which the last counts; NaN where `base` is."""
        return np.asarray(outputs[:, -1], dtype=np.float64) * self.value_scale + base


def rebuilt(labels: FloatArray, neighbours: int) -> FloatArray:
    """Rebuild each label, shape (n, k), from its nearest ones with weights that sum to one.

    The local shape of the manifold of labels in CARN (Pang et al., MICCAI 2018),
    solved as in locally linear embedding (Roweis & Saul, Science 2000;290:2323-6).
    A scalar label is rebuilt almost exactly, so that the term says the error twice.
    """
    n = len(labels)
    k = min(neighbours, n - 1)
    if k < 1:
        return labels.copy()
    out = np.empty_like(labels)
    for i, own in enumerate(labels):
        away = np.square(labels - own).sum(axis=1)
        away[i] = np.inf
        near = labels[np.argpartition(away, k - 1)[:k]]
        steps = near - own
        gram = steps @ steps.T
        # Fewer dimensions than neighbours: without a ridge the weights are not unique.
        gram += np.eye(k) * (1e-3 * max(float(np.trace(gram)), 1e-12))
        weights = np.linalg.solve(gram, np.ones(k))
        out[i] = weights / weights.sum() @ near
    return out


@dataclass(frozen=True, slots=True, eq=False)
class TripletSource:
    """Triplets, a little turned, moved and scaled."""

    items: Sequence[TripletItem]
    targets: Targets
    chance: TripletAugmentation
    neighbours: int = 20
    truth: Sequence[TripletItem] = ()
    """The same films' triplets from true masks."""
    truth_share: float = 0.0
    fractured_from: float = 20.0
    fractured_share: float = 0.0
    wanted: list[tuple[FloatArray, FloatArray, FloatArray, float]] = field(default_factory=list)
    """Of each item, then of each true one: outputs, validity, outputs as their neighbours rebuild them, and
    what is added to an answer."""

    cuts: list[Drawn] = field(default_factory=list)
    """The pictures of each, cut out once."""

    def __post_init__(self) -> None:
        every = (*self.items, *self.truth)
        self.cuts.extend(drawn(i.divided.found, i.valued.triplet, self.targets.view) for i in every)
        pairs = [self.targets.wanted(item) for item in every]
        labels = rebuilt(np.array([label for label, _ in pairs]), self.neighbours)
        bases = [self.targets.base(item) for item in every]
        self.wanted.extend(
            (label, valid, near, float("nan") if base is None else base)
            for (label, valid), near, base in zip(pairs, labels, bases, strict=True)
        )

    def sample(self, rng: np.random.Generator, /) -> Sample:
        """Draw a triplet: `image` (1, s, s), `values`, `values_valid` and `rebuilt`, each (k,)."""
        number = self._choose(rng)
        return self._by_chance(number, rng)

    def plain(self, number: int) -> Sample:
        """Return item `number` as it is."""
        return self._sample(number, None)

    def look(self, number: int, which: int) -> Sample:
        """Return look `which` at item `number`: 0 is the item as it is, others are moved by chance."""
        if which == 0:
            return self.plain(number)
        return self._by_chance(number, np.random.default_rng([number, which]))

    def _by_chance(self, number: int, rng: np.random.Generator) -> Sample:
        moved = self._moved(rng)
        upside_down = self.chance.upside_down > 0 and rng.random() < self.chance.upside_down
        return self._sample(number, moved, upside_down=upside_down)

    def _choose(self, rng: np.random.Generator) -> int:
        from_truth = bool(self.truth) and rng.random() < self.truth_share
        pool, first = (self.truth, len(self.items)) if from_truth else (self.items, 0)
        if rng.random() < self.fractured_share:
            broken = [n for n, item in enumerate(pool) if item.valued.percent >= self.fractured_from]
            if broken:
                return first + broken[int(rng.integers(len(broken)))]
        return first + int(rng.integers(len(pool)))

    def _moved(self, rng: np.random.Generator) -> Affine:
        side = self.targets.view.side_px
        middle = np.full(2, (side - 1) / 2)
        shift, turn, zoom = self.chance.shift, self.chance.turn_deg, self.chance.zoom
        return Affine.about(
            middle,
            middle + rng.uniform(-shift, shift, 2) * side,
            turn_deg=float(rng.uniform(-turn, turn)),
            zoom=float(np.exp(rng.uniform(-zoom, zoom))),
        )

    def _sample(self, number: int, moved: Affine | None, *, upside_down: bool = False) -> Sample:
        image = picture_of(self.cuts[number], self.targets.view, moved=moved)
        label, valid, near, base = self.wanted[number]
        if upside_down:
            image = np.ascontiguousarray(image[::-1])
            if len(label) > 1:
                # The heights of the upper and the lower neighbour change places.
                label, valid, near = (each[[2, 1, 0, 3]] for each in (label, valid, near))
        if moved is not None and len(label) > 1:
            # Heights grow with the picture; the compression does not.
            grown = np.array([float(np.sqrt(abs(np.linalg.det(moved.matrix))))] * (len(label) - 1) + [1.0])
            label, near = label * grown, near * grown
        return {
            "image": image[None],
            "values": label.astype(np.float32),
            "values_valid": valid.astype(np.float32),
            "rebuilt": near.astype(np.float32),
            "base": np.float32(base),
        }
