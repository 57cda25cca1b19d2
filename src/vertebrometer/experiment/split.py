"""Who is trained on, who chooses the best checkpoint, who is tested: by patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vertebrometer.errors import SettingsError
from vertebrometer.experiment.films import Film
from vertebrometer.experiment.settings import SplitSettings


@dataclass(frozen=True, slots=True)
class Split:
    """The part of each patient, and the fold of those that are not tested."""

    part: Mapping[str, str]
    """By patient: train, validation or test."""
    fold: Mapping[str, int]
    """By patient of train and validation, from 0."""

    def films(self, films: Sequence[Film], *parts: str) -> list[Film]:
        """Return the films of some parts."""
        return [film for film in films if self.part[film.patient] in parts]

    def counts(self, films: Sequence[Film]) -> dict[str, dict[str, int]]:
        """Return patients and films in each part."""
        out = {}
        for part in ("train", "validation", "test"):
            own = self.films(films, part)
            out[part] = {"patients": len({film.patient for film in own}), "films": len(own)}
        return out


def make_split(films: Sequence[Film], settings: SplitSettings) -> Split:
    """Draw patients for the parts, each kind of film on its own, unless a user said who goes where.

    Raises
    ------
    SettingsError
        A patient is in two parts, some films have a part and others of their kind
        none, or a part is left empty.
    """
    part: dict[str, str] = {}
    rng = np.random.default_rng([settings.seed, 0])
    for group in sorted({film.group for film in films}):
        own = [film for film in films if film.group == group]
        given = {film.split for film in own}
        part |= _given(own) if given != {""} else _drawn(own, settings, rng)
    for name in ("train", "validation", "test"):
        if name not in part.values():
            msg = (
                f"no patient is left for {name}: {len(part)} patients in all; add films or change the shares"
            )
            raise SettingsError(msg)
    return Split(part, _folds(films, part, settings))


def _given(films: Sequence[Film]) -> dict[str, str]:
    part: dict[str, str] = {}
    for film in films:
        if not film.split:
            msg = f"{film.name} has no split while others have; fill the column or leave it out"
            raise SettingsError(msg)
        if part.setdefault(film.patient, film.split) != film.split:
            msg = f"the patient of {film.name} is in two splits; put all films of a patient into one"
            raise SettingsError(msg)
    if "validation" not in part.values():
        msg = "the column of splits names no film for validation; checkpoints are chosen on it, never on test"
        raise SettingsError(msg)
    return part


def _drawn(films: Sequence[Film], settings: SplitSettings, rng: np.random.Generator) -> dict[str, str]:
    patients = sorted({film.patient for film in films})
    order = [patients[int(n)] for n in rng.permutation(len(patients))]
    tested = _some(len(order), settings.test_share)
    held = _some(len(order) - tested, settings.validation_share)
    return {
        patient: "test" if n < tested else "validation" if n < tested + held else "train"
        for n, patient in enumerate(order)
    }


def _some(count: int, share: float) -> int:
    """Share of a number, but at least one where that leaves others."""
    return max(round(count * share), 1) if count > 2 else 0


def _folds(films: Sequence[Film], part: Mapping[str, str], settings: SplitSettings) -> dict[str, int]:
    """Deal the patients out, those of validation on their own, so that no fold has all of them."""
    rng = np.random.default_rng([settings.seed, 1])
    fold: dict[str, int] = {}
    groups = {film.patient: film.group for film in films}
    for name in ("validation", "train"):
        own = sorted(patient for patient, of in part.items() if of == name)
        shuffled = [own[int(n)] for n in rng.permutation(len(own))]
        shuffled.sort(key=lambda patient: groups[patient])
        fold |= {patient: (n + len(fold)) % settings.folds for n, patient in enumerate(shuffled)}
    return fold
