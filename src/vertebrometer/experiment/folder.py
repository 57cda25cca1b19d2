"""A user's own films: a table with a row per body, and masks or corners; all is checked first."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Final

import numpy as np
from PIL import Image, UnidentifiedImageError

from vertebrometer.anatomy import Facing, FilmTruth, read_truth
from vertebrometer.errors import DamagedImageError, MissingFileError, SettingsError, TruthFileError
from vertebrometer.experiment.films import Film, OnCanvas, film_of, film_of_truth
from vertebrometer.experiment.settings import DataSettings, FilmFolder
from vertebrometer.radiographs import read_radiograph
from vertebrometer.triplets import TrueBody, label_bodies
from vertebrometer.types import LabelMap

SPLITS: Final = ("train", "validation", "test")


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmRow:
    """What a table says of one film."""

    file: str
    patient: str
    split: str
    facing: Facing
    values: Mapping[str, float]
    """By number or level of the body."""


@dataclass(frozen=True, slots=True, eq=False)
class CheckedFolder:
    """A folder whose table and files are as they should be."""

    settings: FilmFolder
    folder: Path
    films: tuple[FilmRow, ...]
    truths: Mapping[str, FilmTruth]
    """Of each film, where corners are given."""
    fingerprint: str
    """Changes with the table, the corners and the masks."""


def check_folder(settings: FilmFolder, base: Path) -> CheckedFolder:
    """Read the table of a folder and look for every file that it names.

    Raises
    ------
    SettingsError
        A column is missing, a value is no number, or a patient is in two splits.
    MissingFileError
        The table, a film or a mask is not there.
    TruthFileError
        The corners are not as documented, or a film has none.
    """
    folder = base / settings.folder
    table = folder / settings.table
    if not table.is_file():
        msg = f"no table {settings.table} in {settings.folder.name}; it has a row for each body"
        raise MissingFileError(msg)
    rows = _rows(table, settings)
    films = _films(rows, settings)
    _one_split_per_patient(films, settings)
    truths = _truths(folder, settings, films)
    digest = hashlib.sha256(repr(settings).encode() + table.read_bytes())
    for film in films:
        if not (folder / film.file).is_file():
            msg = f"{settings.table} names the film {film.file}, which is not in {settings.folder.name}"
            raise MissingFileError(msg)
        digest.update(str((folder / film.file).stat().st_size).encode())
        if settings.masks:
            digest.update(mask_path(folder, settings, film).read_bytes())
    if settings.corners:
        digest.update((folder / settings.corners).read_bytes())
    return CheckedFolder(settings, folder, films, truths, digest.hexdigest()[:16])


def mask_path(folder: Path, settings: FilmFolder, film: FilmRow) -> Path:
    """Return where the mask of a film lies.

    Raises
    ------
    MissingFileError
        There is none; the message names the places that were tried.
    """
    stem = PurePath(film.file).stem
    tried = [folder / settings.masks / name for name in (f"{stem}.png", f"{stem}_mask.png")]
    found = next((path for path in tried if path.is_file()), None)
    if found is None:
        names = " or ".join(path.name for path in tried)
        msg = f"the film {film.file} has no mask: {names} was looked for in {settings.masks}"
        raise MissingFileError(msg)
    return found


def read_folder(checked: CheckedFolder, number: int, data: DataSettings) -> Film:
    """Read film `number`, from 0, with its truth."""
    row = checked.films[number]
    radiograph = read_radiograph(checked.folder / row.file, any_view=True)
    name = PurePath(row.file).stem
    if row.file in checked.truths:
        truth = checked.truths[row.file]
        if truth.shape != radiograph.image.shape:
            _refuse_shape(row.file, "corners", truth.shape, radiograph.image.shape)
        film = film_of_truth(
            radiograph, truth, data, name=name, patient=row.patient, group="folder", facing=row.facing
        )
        bodies = film.bodies if not checked.settings.vc else _valued(film.bodies, row, checked.settings)
        return replace(film, bodies=bodies, split=row.split)
    labels = _labels(mask_path(checked.folder, checked.settings, row))
    if labels.shape != radiograph.image.shape:
        _refuse_shape(row.file, "mask", labels.shape, radiograph.image.shape)
    on = OnCanvas.of(radiograph, row.facing, data)
    count = int(labels.max(initial=0))
    shares = [on.share(labels == n) for n in range(1, count + 1)]
    bodies = _valued(
        tuple(TrueBody(number=n, percent=None) for n in range(1, count + 1)), row, checked.settings
    )
    return film_of(
        on,
        shares,
        bodies,
        labels.shape,
        name=name,
        patient=row.patient,
        group="folder",
        split=row.split,
    )


def _refuse_shape(file: str, kind: str, given: tuple[int, ...], wanted: tuple[int, ...]) -> None:
    msg = (
        f"the {kind} of {file} {'is' if kind == 'mask' else 'are'} for {given[0]} x {given[1]} pixels, "
        f"the film has {wanted[0]} x {wanted[1]}; export both at the same size"
    )
    raise TruthFileError(msg)


def _rows(table: Path, settings: FilmFolder) -> list[dict[str, str]]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            given = [name.strip() for name in reader.fieldnames or ()]
            reader.fieldnames = given
            rows = [{key: (value or "").strip() for key, value in row.items() if key} for row in reader]
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{settings.table} is no table of comma-separated text in UTF-8 ({type(error).__name__})"
        raise SettingsError(msg) from error
    wanted = {"film": settings.film, "patient": settings.patient}
    wanted |= {key: name for key in ("vc", "split", "facing") if (name := getattr(settings, key))}
    if settings.vc:
        wanted["body"] = settings.body
    for key, name in wanted.items():
        if name not in given:
            has = ", ".join(given) or "none"
            msg = (
                f"{settings.table} has no column {name!r} ({key} of [[data.folders]]); its columns are {has}"
            )
            raise SettingsError(msg)
    if not rows:
        msg = f"{settings.table} has no rows"
        raise SettingsError(msg)
    return rows


def _films(rows: list[dict[str, str]], settings: FilmFolder) -> tuple[FilmRow, ...]:
    films: dict[str, FilmRow] = {}
    for line, row in enumerate(rows, 2):
        where = f"{settings.table}, line {line}"
        file, patient = row[settings.film], row[settings.patient]
        if not file or not patient:
            empty = settings.patient if file else settings.film
            msg = f"{where}: the column {empty!r} is empty; each row names its film and its patient"
            raise SettingsError(msg)
        values = _value(row, settings, where)
        now = FilmRow(
            file=file,
            patient=patient,
            split=_split(row, settings, where),
            facing=_facing(row, settings, where),
            values=values,
        )
        before = films.get(file)
        if before is None:
            films[file] = now
            continue
        for name in ("patient", "split", "facing"):
            if getattr(before, name) != getattr(now, name):
                msg = f"{where}: {file} has another {name} than in an earlier row"
                raise SettingsError(msg)
        if twice := set(before.values) & set(values):
            msg = f"{where}: body {min(twice)} of {file} has two values"
            raise SettingsError(msg)
        films[file] = replace(before, values={**before.values, **values})
    return tuple(films.values())


def _value(row: dict[str, str], settings: FilmFolder, where: str) -> dict[str, float]:
    if not settings.vc or not row[settings.vc]:
        return {}
    text, body = row[settings.vc].rstrip("% "), row[settings.body].upper()
    try:
        percent = float(text)
    except ValueError:
        percent = float("nan")
    if not -200.0 < percent <= 100.0:
        msg = f"{where}: the column {settings.vc!r} wants a percentage, got {row[settings.vc]!r}"
        raise SettingsError(msg)
    if not body:
        msg = f"{where}: a value needs the number of its body from the top in the column {settings.body!r}"
        raise SettingsError(msg)
    return {body.lstrip("0") or "0": percent}


def _split(row: dict[str, str], settings: FilmFolder, where: str) -> str:
    if not settings.split:
        return ""
    split = row[settings.split].lower()
    if split not in SPLITS:
        msg = f"{where}: the column {settings.split!r} wants {', '.join(SPLITS)}; got {row[settings.split]!r}"
        raise SettingsError(msg)
    return split


def _facing(row: dict[str, str], settings: FilmFolder, where: str) -> Facing:
    if not settings.facing or not row[settings.facing]:
        return Facing.UNKNOWN
    try:
        return Facing(row[settings.facing].lower())
    except ValueError:
        msg = f"{where}: the column {settings.facing!r} wants left or right; got {row[settings.facing]!r}"
        raise SettingsError(msg) from None


def _one_split_per_patient(films: tuple[FilmRow, ...], settings: FilmFolder) -> None:
    where: dict[str, FilmRow] = {}
    for film in films:
        first = where.setdefault(film.patient, film)
        if first.split != film.split:
            msg = (
                f"{settings.table}: a patient is in two splits ({first.file} is in {first.split}, "
                f"{film.file} "
                f"of the same patient in {film.split}); put all films of a patient into one"
            )
            raise SettingsError(msg)


def _truths(folder: Path, settings: FilmFolder, films: tuple[FilmRow, ...]) -> dict[str, FilmTruth]:
    if not settings.corners:
        return {}
    known = {truth.file: truth for truth in read_truth(folder / settings.corners)}
    missing = [film.file for film in films if film.file not in known]
    if missing:
        msg = f"{settings.corners} has no corners of {missing[0]}, which {settings.table} names"
        raise TruthFileError(msg)
    return {film.file: known[film.file] for film in films}


def _valued(bodies: tuple[TrueBody, ...], row: FilmRow, settings: FilmFolder) -> tuple[TrueBody, ...]:
    """Give bodies the values of the table; a value for a body that is not there is refused."""
    names = {str(body.number): body for body in bodies} | {b.level: b for b in bodies if b.level}
    for name in row.values:
        if name not in names:
            msg = (
                f"{settings.table} has a value for body {name} of {row.file}, which has {len(bodies)} "
                f"bodies; "
                "bodies are counted from the top, from 1"
            )
            raise SettingsError(msg)
    values = {names[name].number: percent for name, percent in row.values.items()}
    return tuple(replace(body, percent=values.get(body.number)) for body in bodies)


def _labels(path: Path) -> LabelMap:
    try:
        with Image.open(path) as picture:
            raw = np.asarray(picture.convert("L") if picture.mode in ("RGB", "RGBA", "LA", "1") else picture)
    except (UnidentifiedImageError, OSError) as error:
        msg = f"the mask {path.name} cannot be read as a picture ({type(error).__name__})"
        raise DamagedImageError(msg) from error
    if raw.ndim != 2:
        msg = f"the mask {path.name} wants one number per pixel, got shape {raw.shape}"
        raise DamagedImageError(msg)
    values = [int(v) for v in np.unique(raw) if v > 0]
    if len(values) <= 1:
        return label_bodies((raw > 0).astype(np.float32)).labels
    if values != list(range(1, len(values) + 1)):
        msg = (
            f"the mask {path.name} numbers bodies {values[0]} to {values[-1]} with gaps; wanted 1 for the "
            "uppermost body, 2 for the next, or one value for all of them"
        )
        raise TruthFileError(msg)
    labels: LabelMap = raw.astype(np.int32)
    rows = [float(np.argwhere(labels == n)[:, 0].mean()) for n in values]
    if rows != sorted(rows):
        msg = f"the mask {path.name} does not number its bodies from the top to the bottom"
        raise TruthFileError(msg)
    return labels
