"""What is truly on a film: the form that phantoms, projected CT and annotated films share.

The file form is ``{"films": [{"file", "width", "height", "vertebrae": [{"level",
"corners": {name: [x, y]}, ...}], "s1_superior_endplate": {"posterior": [x, y],
"anterior": [x, y]}}]}``; more fields are welcome and kept apart from these.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vertebrometer.anatomy.vertebra import POINT_NAMES, Facing, SixPoints
from vertebrometer.errors import TruthFileError
from vertebrometer.types import PointsRC


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BodyTruth:
    """One true vertebral body, in pixels of the film as stored."""

    level: str
    points: SixPoints
    contour_rc: PointsRC
    """Closed outline of the mid-sagittal section, shape (n, 2)."""
    whole: bool = True
    """False where the border of the film or a collimator cuts through it."""
    fracture: str = "none"
    """none, wedge, biconcave or crush."""
    implant: str = "none"
    """none, metal or cement."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class FilmTruth:
    """All that is known of one film; bodies from the top."""

    file: str
    shape: tuple[int, int]
    """Rows and columns."""
    bodies: tuple[BodyTruth, ...]
    facing: Facing
    s1_endplate_rc: PointsRC | None = None
    """Superior endplate of S1, shape (2, 2): posterior, anterior."""
    has_six_points: bool = True
    """False where only corners were annotated, so that mid-endplate points are guesses."""


def facing_of(bodies: Iterable[BodyTruth]) -> Facing:
    """Tell the anterior side from the bodies' own anterior and posterior corners."""
    ahead = [float((b.points.corners_rc[[0, 3], 1] - b.points.corners_rc[[1, 2], 1]).mean()) for b in bodies]
    if not ahead:
        return Facing.UNKNOWN
    return Facing.RIGHT if float(np.median(ahead)) > 0 else Facing.LEFT


def read_truth(path: Path) -> tuple[FilmTruth, ...]:
    """Read a truth file.

    Raises
    ------
    TruthFileError
        The file is missing, no JSON, or lacks a field; the message names the film and the field.
    """
    try:
        films = json.loads(path.read_text(encoding="utf-8"))["films"]
    except FileNotFoundError:
        msg = f"no truth file {path.name} in its folder; it should hold {{'films': [...]}}"
        raise TruthFileError(msg) from None
    except OSError as error:
        msg = f"{path.name} cannot be read: {error.strerror or type(error).__name__}"
        raise TruthFileError(msg) from None
    except (ValueError, KeyError, TypeError) as error:
        msg = f"{path.name} is no truth file: wanted JSON with a list under 'films' ({error})"
        raise TruthFileError(msg) from error
    return tuple(_film(film, number, path.name) for number, film in enumerate(films, 1))


def _film(film: Mapping[str, Any], number: int, where: str) -> FilmTruth:
    try:
        bodies = tuple(_body(body) for body in film["vertebrae"])
        s1 = film.get("s1_superior_endplate")
        return FilmTruth(
            file=str(film["file"]),
            shape=(int(film["height"]), int(film["width"])),
            bodies=bodies,
            facing=Facing(film["facing"]) if "facing" in film else facing_of(bodies),
            s1_endplate_rc=None
            if s1 is None
            else np.array([s1["posterior"][::-1], s1["anterior"][::-1]], dtype=float),
            has_six_points=all("six_points" in body for body in film["vertebrae"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{where}: film {number} is not as documented: {error!r}"
        raise TruthFileError(msg) from error


def _body(body: Mapping[str, Any]) -> BodyTruth:
    points = SixPoints.from_xy(body.get("six_points", body["corners"]))
    contour = body.get("contour")
    outline = points.corners_rc if contour is None else np.array(contour, dtype=float)[:, ::-1]
    return BodyTruth(
        level=str(body["level"]),
        points=points,
        contour_rc=outline,
        fracture=str(body.get("fracture", "none")),
        implant=str(body.get("implant", "none")),
    )


def truth_as_dict(films: Iterable[FilmTruth]) -> dict[str, Any]:
    """Return the file form of `films`; only bodies wholly in view are written."""
    return {"films": [_film_as_dict(film) for film in films]}


def _film_as_dict(film: FilmTruth) -> dict[str, Any]:
    out: dict[str, Any] = {
        "file": film.file,
        "width": film.shape[1],
        "height": film.shape[0],
        "facing": film.facing.value,
        "vertebrae": [_body_as_dict(body) for body in film.bodies if body.whole],
    }
    if film.s1_endplate_rc is not None:
        posterior, anterior = film.s1_endplate_rc[:, ::-1].round(3).tolist()
        out["s1_superior_endplate"] = {"posterior": posterior, "anterior": anterior}
    return out


def _body_as_dict(body: BodyTruth) -> dict[str, Any]:
    six = body.points.as_xy()
    return {
        "level": body.level,
        "corners": {name: xy for name, xy in six.items() if "middle" not in name},
        "six_points": {name: six[name] for name in POINT_NAMES},
        "contour": body.contour_rc[:, ::-1].round(2).tolist(),
        "fracture": body.fracture,
        "implant": body.implant,
    }
