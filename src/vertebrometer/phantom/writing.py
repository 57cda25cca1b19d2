"""Phantoms as files: DICOM films and one truth file for all of them."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from vertebrometer import __version__
from vertebrometer.anatomy import BodyTruth, FilmTruth, is_just_above, truth_as_dict
from vertebrometer.errors import OutputError, SettingsError
from vertebrometer.morphometry import heights
from vertebrometer.phantom.making import make_phantom, numbered_settings, truth_of
from vertebrometer.phantom.settings import PhantomSettings
from vertebrometer.radiographs.writing import FilmModality, holds_instance, write_radiograph_dicom

TRUTH_FILE: Final = "truth.json"
_MODALITIES: Final[dict[str, FilmModality]] = {
    "lumbar": "DX",
    "thoracolumbar": "DX",
    "thoracic": "CR",
    "whole-spine": "CR",
    "dxa": "BMD",
}


def write_phantoms(count: int, seed: int, out_dir: Path, fields: Sequence[str] = ()) -> list[Path]:
    """Write phantom-0001.dcm and so on, and then truth.json.

    Parameters
    ----------
    count : int
        How many films. Film n of a seed is the same however many there are.
    seed : int
        From 0. None of the films is one that networks train on, whatever the seed.
    out_dir : Path
        Made where it does not exist. After an interrupted call the same call
        goes on: films without a truth file beside them are kept.
    fields : sequence of str
        Keys of `FIELDS` to draw from; all of them by default.

    Returns
    -------
    list of Path
        The films.

    Raises
    ------
    UnknownNameError
        There is no such field.
    SettingsError
        Fewer than one film, or a seed below 0.
    OutputError
        The folder cannot be written to.
    """
    if count < 1 or seed < 0:
        msg = f"at least one film and a seed from 0 are wanted, got {count} and {seed}"
        raise SettingsError(msg)
    numbered_settings(seed, 1, fields=fields)  # an unknown field is told before anything is written
    truth_file = out_dir / TRUTH_FILE
    interrupted = not truth_file.exists()
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        # From here on the folder holds no truth until every film is there.
        truth_file.unlink(missing_ok=True)
    except OSError as error:
        msg = f"the phantoms cannot be written: {error.strerror or type(error).__name__}"
        raise OutputError(msg) from error
    films, truths = [], []
    for number in range(1, count + 1):
        settings = numbered_settings(seed, number, fields=fields)
        path = out_dir / f"phantom-{number:04d}.dcm"
        uid_seed = f"phantom {__version__} {seed} {number} {settings.view.field}"
        if not (interrupted and holds_instance(path, uid_seed)):
            _write_film(path, settings, uid_seed)
        films.append(path)
        truths.append(phantom_truth(settings, path.name))
    _write_truth(truth_file, {"made_by": f"vertebrometer {__version__}", "seed": seed, "films": truths})
    return films


def phantom_truth(settings: PhantomSettings, file: str) -> dict[str, Any]:
    """Return the truth of one phantom as its entry in a truth file.

    Beside the documented fields each film has `field`, `pixel_mm`, `polarity`
    and `bits`, and each body `heights_mm` and `compression_percent` (equation 1
    with the true heights; left out where a neighbour is not wholly in view).
    """
    truth = replace(truth_of(settings), file=file)
    entry: dict[str, Any] = truth_as_dict([truth])["films"][0]
    view, imaging = settings.view, settings.imaging
    entry |= {
        "field": view.field,
        "pixel_mm": view.pixel_mm,
        "polarity": "MONOCHROME1" if imaging.monochrome1 else "MONOCHROME2",
        "bits": imaging.bits,
    }
    whole = [body for body in truth.bodies if body.whole]
    for written, body, percent in zip(entry["vertebrae"], whole, true_compressions(truth), strict=True):
        three = heights(body.points, mm_per_px=view.pixel_mm)
        written["heights_mm"] = {
            "anterior": round(three.anterior_px * view.pixel_mm, 4),
            "middle": round(three.middle_px * view.pixel_mm, 4),
            "posterior": round(three.posterior_px * view.pixel_mm, 4),
        }
        if percent is not None:
            written["compression_percent"] = round(percent, 4)
    return entry


def true_compressions(truth: FilmTruth) -> list[float | None]:
    """Equation 1 for each body wholly in view, from the true points; None without both neighbours."""
    whole = [body for body in truth.bodies if body.whole]
    return [_compression(whole, place) for place in range(len(whole))]


def _compression(bodies: Sequence[BodyTruth], place: int) -> float | None:
    if not 0 < place < len(bodies) - 1:
        return None
    above, own, below = bodies[place - 1 : place + 2]
    if not (is_just_above(above.level, own.level) and is_just_above(own.level, below.level)):
        return None
    upper, middle, lower = (heights(body.points).anterior_px for body in (above, own, below))
    return 100.0 * (1.0 - middle / ((upper + lower) / 2))


def _write_film(path: Path, settings: PhantomSettings, uid_seed: str) -> None:
    phantom = make_phantom(settings)
    write_radiograph_dicom(
        path,
        phantom.radiograph.image,
        uid_seed=uid_seed,
        bits=settings.imaging.bits,
        monochrome1=settings.imaging.monochrome1,
        spacing=phantom.radiograph.spacing,
        modality=_MODALITIES[settings.view.field],
        facing=phantom.truth.facing,
    )


def _write_truth(path: Path, truth: dict[str, Any]) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}.vertebrometer-part")
    try:
        part.write_text(json.dumps(truth), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        msg = f"the phantoms cannot be written: {error.strerror or type(error).__name__}"
        raise OutputError(msg) from error
