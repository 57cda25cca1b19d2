"""What a run is trained on: phantoms made on the spot, annotated films, projected CT."""

from __future__ import annotations

import hashlib
import logging
import pickle
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from vertebrometer.anatomy import read_truth
from vertebrometer.config import settings_as_dict
from vertebrometer.errors import SettingsError
from vertebrometer.phantom import PHANTOM_EDITION
from vertebrometer.projection import PROJECTION_EDITION
from vertebrometer.projection.density import BoneDensity
from vertebrometer.training.bank import BankFilm, annotated_bank, bank_film, other_bank, phantom_bank
from vertebrometer.training.crops import Cuts, cuts_of
from vertebrometer.training.spreading import in_processes

if TYPE_CHECKING:
    from vertebrometer.projection import SpineVolume

log = logging.getLogger(__name__)

_PART = 25
"""Films in one file of the bank; what a killed run loses at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmFolder:
    """Annotated films: a truth file with the films beside it."""

    truth: Path
    validation: tuple[str, ...] = ()
    """Names of films that only validate."""
    leave_out: tuple[str, ...] = ()
    """Names of films that are not used at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CtFolder:
    """CT volumes with vertebra masks, as VerSe lays them out, projected to films."""

    folder: Path
    films: int = 300
    seed: int = 4_000_000
    leave_out: tuple[str, ...] = ()
    """Names of volumes that are never trained on, so that a bench can use them."""
    sides_mm: float = 0.0
    """Largest movement of what lies beside the mid-sagittal plane; see `ProjectionSettings`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceSpine:
    """A spine known by closed surfaces of its vertebrae, given bone of assumed density and projected.

    Either `files` names one Wavefront OBJ file for each of `levels`, or `vertices`
    and `faces` name tables that hold all of them.
    """

    name: str
    folder: Path
    levels: tuple[str, ...]
    """From the top."""
    files: tuple[str, ...] = ()
    vertices: str = ""
    faces: str = ""
    unit_mm: float = 1.0
    """Length of a unit of the files."""
    axes: str = "ALS"
    """Where the three coordinates point to: a letter each of A or P, L or R, S or I."""
    densities: tuple[BoneDensity, ...] = (BoneDensity(),)
    """The spine is taken once with each."""
    films: int = 60
    """With each density."""
    seed: int = 5_500_000
    sides_mm: float = 0.0
    """As in `CtFolder`."""

    def __post_init__(self) -> None:
        if bool(self.files) == bool(self.vertices and self.faces):
            msg = f"surfaces of {self.name}: give either files, or vertices and faces"
            raise SettingsError(msg)
        if self.files and len(self.files) != len(self.levels):
            wanted, got = len(self.levels), len(self.files)
            msg = f"surfaces of {self.name}: {wanted} levels want as many files, got {got}"
            raise SettingsError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSettings:
    """Sources of training films and how often each is drawn."""

    phantoms: int = 900
    phantom_seed: int = 1_000_000
    phantom_weight: float = 0.5
    real_weight: float = 0.35
    ct_weight: float = 0.15
    others: int = 0
    """Pictures that are no lateral spine films, to learn what no body is."""
    other_weight: float = 0.0
    other_seed: int = 6_000_000
    films: tuple[FilmFolder, ...] = ()
    ct: tuple[CtFolder, ...] = ()
    surfaces: tuple[SurfaceSpine, ...] = ()
    """Drawn together with the CT, by `ct_weight`."""
    validation_phantoms: int = 40
    validation_seed: int = 3_000_000
    validation_real_share: float = 0.5
    """How often a validation sample is of a real film, where there are any."""
    films_credit: str = "annotated films of the user"
    """Source of the annotated films, as the model card credits it."""
    films_terms: str = "not stated"
    ct_credit: str = "CT of the user, projected"
    ct_terms: str = "not stated"
    surfaces_credit: str = "surfaces of the user, projected"
    surfaces_terms: str = "not stated"
    bank: Path = field(default_factory=lambda: Path("runs/bank"))
    """Folder in which made films are kept, so that a resumed or second run need not make them again."""
    processes: int = 0
    """Processes that make films; 0 takes as many as there are CPUs."""

    def __post_init__(self) -> None:
        if self.phantoms < 1 or self.validation_phantoms < 1:
            msg = "at least one phantom is wanted for training and one for validation"
            raise ValueError(msg)

    @property
    def weights(self) -> dict[str, float]:
        """Share of each group of films."""
        return {
            "phantom": self.phantom_weight,
            "real": self.real_weight,
            "ct": self.ct_weight,
            "other": self.other_weight,
        }


@dataclass(frozen=True, slots=True, eq=False)
class Banks:
    """Films to train on and films to validate on; no patient is in both."""

    training: tuple[BankFilm, ...]
    validation: tuple[BankFilm, ...]


def load_banks(data: DataSettings, *, pixel_mm: float, base: Path) -> Banks:
    """Make, or take from the bank, all films of a run.

    Parameters
    ----------
    data : DataSettings
        Paths in it are relative to `base`, the folder of the settings file.
    pixel_mm : float
        Finest pixel that is kept.

    Raises
    ------
    SettingsError
        A folder of CT holds no volume with a mask.
    TruthFileError
        A truth file is not as documented, or a film is missing.
    """
    bank = base / data.bank

    def phantoms(seed: int, count: int) -> Iterator[BankFilm]:
        key = ("phantom", PHANTOM_EDITION, seed, pixel_mm)
        return _kept(bank, key, _Phantoms(seed, pixel_mm), count, data.processes)

    training = list(phantoms(data.phantom_seed, data.phantoms))
    validation = list(phantoms(data.validation_seed, data.validation_phantoms))
    training += other_bank(range(data.other_seed, data.other_seed + data.others), pixel_mm=pixel_mm)
    for folder in data.films:
        away = (*folder.validation, *folder.leave_out)
        training += annotated_bank(base / folder.truth, pixel_mm=pixel_mm, leave_out=away)
        if folder.validation:
            validation += annotated_bank(base / folder.truth, pixel_mm=pixel_mm, only=folder.validation)
    for ct in data.ct:
        # Film n is the same whatever their number is, so a larger bank goes on from a smaller one.
        key = ("ct", PROJECTION_EDITION, ct.folder.as_posix(), ct.seed, ct.leave_out, pixel_mm, ct.sides_mm)
        training += _kept(bank, key, _Projections(ct, base, pixel_mm), ct.films, data.processes)
    for spine in data.surfaces:
        own = ("surfaces", PROJECTION_EDITION, settings_as_dict(replace(spine, films=0)), pixel_mm)
        count = spine.films * len(spine.densities)
        training += _kept(bank, own, _Surfaces(spine, base, pixel_mm), count, data.processes)
    return Banks(tuple(training), tuple(validation))


@dataclass(frozen=True, slots=True)
class CutJob:
    """Makes some films of one source and cuts the bodies out of them; travels to other processes."""

    make: _Make
    first: int
    end: int
    seed: int
    degraded: float
    """See `cuts_of`."""
    group: str
    """Where the films come from: a group of the bank, or surface, which the bank counts as ct."""

    def __call__(self) -> Cuts:
        """Make and cut."""
        return cuts_of(self.make(self.first, self.end), self.seed, degraded=self.degraded)


def cut_jobs(
    data: DataSettings, *, pixel_mm: float, base: Path, degraded: float, validation: bool = False
) -> list[CutJob]:
    """List what makes all films of a run, a few at a time, annotated films first and then all sources evenly.

    Parameters are those of `load_banks`; with `validation`, the films that only validate.
    """
    jobs: list[CutJob] = []
    for makes, count, at_once in _sources_of(data, pixel_mm, base, validation=validation):
        for first in range(0, count, at_once):
            end = min(first + at_once, count)
            number = len(jobs) + (1_000_000 if validation else 0)
            jobs.append(CutJob(makes[1], first, end, number, 0.0 if validation else degraded, makes[0]))
    counts = {job.make: 0 for job in jobs}
    for job in jobs:
        counts[job.make] = max(counts[job.make], job.end)
    return sorted(jobs, key=lambda job: (job.group not in ("real", "other"), job.end / counts[job.make]))


def _sources_of(
    data: DataSettings, pixel_mm: float, base: Path, *, validation: bool
) -> Iterator[tuple[tuple[str, _Make], int, int]]:
    """Yield group and maker of films, how many there are, and how many are made at once."""
    for folder in data.films:
        names = set(folder.validation) if validation else _training_names(base / folder.truth, folder)
        yield ("real", _Annotated(base / folder.truth, tuple(sorted(names)), pixel_mm)), len(names), 1
    if validation:
        yield ("phantom", _Phantoms(data.validation_seed, pixel_mm)), data.validation_phantoms, 4
        return
    yield ("other", _Others(data.other_seed, pixel_mm)), data.others, 10
    yield ("phantom", _Phantoms(data.phantom_seed, pixel_mm)), data.phantoms, 4
    for ct in data.ct:
        yield ("ct", _Projections(ct, base, pixel_mm)), ct.films, 6
    for spine in data.surfaces:
        yield ("surface", _Surfaces(spine, base, pixel_mm)), spine.films * len(spine.densities), 6


def _training_names(truth: Path, folder: FilmFolder) -> set[str]:
    return {film.file for film in read_truth(truth)} - {*folder.validation, *folder.leave_out}


class _Make(Protocol):
    """Makes films `first` to before `end` of a source; travels to other processes."""

    def __call__(self, first: int, end: int) -> list[BankFilm]: ...


@dataclass(frozen=True, slots=True)
class _Phantoms:
    seed: int
    pixel_mm: float

    def __call__(self, first: int, end: int) -> list[BankFilm]:
        return list(phantom_bank(range(self.seed + first, self.seed + end), pixel_mm=self.pixel_mm))


@dataclass(frozen=True, slots=True)
class _Others:
    seed: int
    pixel_mm: float

    def __call__(self, first: int, end: int) -> list[BankFilm]:
        return list(other_bank(range(self.seed + first, self.seed + end), pixel_mm=self.pixel_mm))


@dataclass(frozen=True, slots=True)
class _Annotated:
    truth: Path
    names: tuple[str, ...]
    pixel_mm: float

    def __call__(self, first: int, end: int) -> list[BankFilm]:
        return list(annotated_bank(self.truth, pixel_mm=self.pixel_mm, only=self.names[first:end]))


@dataclass(frozen=True, slots=True)
class _Projections:
    ct: CtFolder
    base: Path
    pixel_mm: float

    def __call__(self, first: int, end: int) -> list[BankFilm]:
        spines = _volumes(self.base / self.ct.folder, self.ct.leave_out)
        return _projected(spines, first, end, self.ct, self.pixel_mm)


@dataclass(frozen=True, slots=True)
class _Surfaces:
    spine: SurfaceSpine
    base: Path
    pixel_mm: float

    def __call__(self, first: int, end: int) -> list[BankFilm]:
        spines = _of_surfaces(self.spine, self.base / self.spine.folder)
        return _projected(spines, first, end, self.spine, self.pixel_mm)


def _projected(
    spines: Sequence[SpineVolume], first: int, end: int, asked: CtFolder | SurfaceSpine, pixel_mm: float
) -> list[BankFilm]:
    from vertebrometer.projection import projected_films  # noqa: PLC0415 (needs nibabel)

    films = projected_films(spines, end, asked.seed, first=first, sides_mm=asked.sides_mm)
    return [bank_film(film, truth, pixel_mm=pixel_mm, group="ct") for film, truth in films]


# Volumes take longer to read than a film to project; each process keeps those it works with.
@lru_cache(maxsize=2)
def _volumes(folder: Path, leave_out: tuple[str, ...]) -> list[SpineVolume]:
    from vertebrometer.projection import load_paths, spines_in  # noqa: PLC0415 (as above)

    paths = [path for path in spines_in(folder) if path.name not in leave_out]
    if not paths:
        wanted = "NAME_ct.nii.gz with NAME_seg-vert_msk.nii.gz"
        msg = f"no CT volume with a mask lies in {folder.name}; wanted {wanted}"
        raise SettingsError(msg)
    return [load_paths(path) for path in paths]


@lru_cache(maxsize=2)
def _of_surfaces(spine: SurfaceSpine, folder: Path) -> list[SpineVolume]:
    from vertebrometer.projection import (  # noqa: PLC0415 (as above)
        read_surface,
        read_surfaces_csv,
        spine_of_surfaces,
    )

    if spine.files:
        named = zip(spine.levels, spine.files, strict=True)
        surfaces = {level: read_surface(folder / file) for level, file in named}
    else:
        surfaces = read_surfaces_csv(folder / spine.vertices, folder / spine.faces, spine.levels)
    scaled = {level: (points * spine.unit_mm, faces) for level, (points, faces) in surfaces.items()}
    return [
        spine_of_surfaces(f"{spine.name}-{n}", scaled, density=density, axes=spine.axes)
        for n, density in enumerate(spine.densities)
    ]


def _kept(bank: Path, key: tuple[object, ...], make: _Make, count: int, processes: int) -> Iterator[BankFilm]:
    """Yield `count` films, from the bank as far as it goes and newly made beyond that."""
    name = hashlib.sha256(repr(key).encode()).hexdigest()[:16]
    folder = bank / f"{key[0]}-{name}"
    folder.mkdir(parents=True, exist_ok=True)
    number = 0
    for part in sorted(folder.glob("*.pickle")):
        films = pickle.loads(part.read_bytes())[: count - number]
        number += len(films)
        yield from films
    firsts = range(number, count, _PART)
    ends = [min(first + _PART, count) for first in firsts]
    # In their order, so that a killed run leaves no hole in the bank.
    for end, films in zip(ends, in_processes(make, firsts, ends, processes=processes), strict=True):
        _store(folder / f"{end:06d}.pickle", films)
        log.info("%s: %d of %d films made", key[0], end, count)
        yield from films


def _store(path: Path, films: list[BankFilm]) -> None:
    part = path.with_suffix(".part")
    part.write_bytes(pickle.dumps(films))
    part.replace(path)
