"""Which view and body part a file states, and whether that speaks against measuring it.

Consoles fill these fields carelessly: many leave them empty, some leave the
preset of the last examination. So only a clear statement refuses a film, and a
statement that it is lateral outweighs one that it is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from vertebrometer.errors import WrongBodyPartError, WrongViewError

# PS3.3, C.8.7.1.1.1 and C.8.11.5; with what consoles write beside the defined terms.
_POSITIONS: Final = {
    **dict.fromkeys(("AP", "PA", "APAXIAL", "PAAXIAL", "FRONTAL"), "frontal"),
    **dict.fromkeys(("LL", "RL", "LLD", "RLD", "LAT", "LATERAL", "LEFTLATERAL", "RIGHTLATERAL"), "lateral"),
    **dict.fromkeys(("RLO", "LLO", "RAO", "LAO", "RPO", "LPO", "OBLIQUE", "OBL"), "oblique"),
    **dict.fromkeys(("AXIAL", "TANGENTIAL"), "axial"),
}

# PS3.16, CID 4010 (DX view), SNOMED CT and the older SNOMED-RT codes.
_VIEW_CODES: Final = {
    **dict.fromkeys(("399348003", "R-10206", "272479007", "R-40888", "399033003", "R-10202"), "frontal"),
    **dict.fromkeys(
        (
            "399067008",
            "R-102CD",
            "399198007",
            "R-10232",
            "399173006",
            "R-10236",
            "399352003",
            "R-10228",
            "30730003",
        ),
        "lateral",
    ),
    **dict.fromkeys(
        (
            "399182000",
            "399236003",
            "399184004",
            "399312000",
            "399059000",
            "399135007",
            "399356000",
            "399006002",
        ),
        "oblique",
    ),
    **dict.fromkeys(("399038007", "399160007"), "oblique"),
    **dict.fromkeys(("399061009",), "axial"),
}

_LATERAL_WORD: Final = re.compile(
    r"(?<![A-Z])(LAT|LATERAL|LATERALE|LATERO|SEITL|SEITLICH|PROFIL|LL|RL)(?![A-Z])"
)

_SPINE_PARTS: Final = (
    "SPINE", "TRUNK", "CHEST", "THORAX", "ABDOMEN", "PELVIS", "SACRUM", "COCCYX", "LUMBAR", "THORACIC",
    "DORSAL", "WHOLEBODY", "VERTEBR", "TORSO", "BACK", "NECK", "RIB", "STERNUM",
)  # fmt: skip
_OTHER_PARTS: Final = (
    "SKULL", "HEAD", "BRAIN", "FACE", "FACIAL", "JAW", "MANDIBLE", "MAXILLA", "TMJ", "ORBIT", "NOSE",
    "SINUS", "TEETH", "TOOTH", "ZYGOMA", "HAND", "FINGER", "THUMB", "WRIST", "FOREARM", "RADIUS", "ULNA",
    "ELBOW", "HUMERUS", "UPPERARM", "ARM", "SHOULDER", "CLAVICLE", "SCAPULA", "FOOT", "FEET", "TOE",
    "ANKLE", "CALCANEUS", "HEEL", "LEG", "LOWERLEG", "TIBIA", "FIBULA", "TIBFIB", "KNEE", "PATELLA",
    "THIGH", "FEMUR", "HIP", "BREAST", "EYE", "EXTREMITY", "UPPEREXTREMITY", "LOWEREXTREMITY",
    "LEFTHAND", "RIGHTHAND",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """What a file says about its view and the part of the body on it."""

    view_position: str = ""
    view_codes: tuple[tuple[str, str], ...] = ()
    """Code value and meaning."""
    orientation: tuple[str, ...] = ()
    """Directions of rows and columns, such as A and F."""
    body_parts: tuple[str, ...] = ()
    descriptions: tuple[str, ...] = ()
    """Free text; only ever read in favour of the film, and never shown."""


def refuse_other_views(stated: Statements, *, any_view: bool = False) -> dict[str, str]:
    """Refuse a film that clearly says it is no lateral view of a trunk.

    Returns
    -------
    dict
        View and body part where stated, and what `any_view` overruled.
    """
    views = _views(stated)
    view = "lateral" if "lateral" in views else next(iter(views), "")
    part = _wrong_part(stated.body_parts)
    facts = {"view": view} if view else {}
    if view not in ("", "lateral"):
        if not any_view:
            msg = f"the file says that this is no lateral view ({view}); a lateral one is wanted, or any_view"
            raise WrongViewError(msg)
        facts["overruled_view"] = view
    if part:
        if not any_view:
            msg = f"the file says that this shows {part}; a spine is wanted, or any_view"
            raise WrongBodyPartError(msg)
        facts["overruled_body_part"] = part
    return facts


def _views(stated: Statements) -> list[str]:
    """Return the views stated, the most deliberate statement first."""
    found = [_view_of_code(value, meaning) for value, meaning in stated.view_codes]
    found.append(_POSITIONS.get(_squeezed(stated.view_position), ""))
    found.append(_view_of_orientation(stated.orientation))
    if any(_LATERAL_WORD.search(text.upper()) for text in stated.descriptions):
        found.append("lateral")
    return [view for view in found if view]


def _view_of_code(value: str, meaning: str) -> str:
    if view := _VIEW_CODES.get(value, ""):
        return view
    words = meaning.lower()
    if "oblique" in words:
        return "oblique"
    if "antero-posterior" in words or "postero-anterior" in words or "frontal" in words:
        return "frontal"
    return "lateral" if "lateral" in words else ""


def _view_of_orientation(orientation: tuple[str, ...]) -> str:
    """Read the plane of the film off the directions of its rows and columns (PS3.3, C.7.6.1.1.1)."""
    axes = {direction[:1] for direction in orientation}
    # Letters after the first say how far it is turned; an oblique film is none of our business here.
    if (
        len(orientation) != 2
        or any(len(direction) != 1 for direction in orientation)
        or not axes & {"H", "F"}
    ):
        return ""
    if axes & {"A", "P"}:
        return "lateral"
    return "frontal" if axes & {"L", "R"} else ""


def _wrong_part(body_parts: Iterable[str]) -> str:
    parts = [_squeezed(part) for part in body_parts if part.strip()]
    if any(word in part for part in parts for word in _SPINE_PARTS):
        return ""
    return next((f"the {part.lower()}" for part in parts if _singular(part) in _OTHER_PARTS), "")


def _singular(part: str) -> str:
    return part if part in _OTHER_PARTS else part.removesuffix("S")


def _squeezed(text: str) -> str:
    return re.sub(r"[^A-Z]", "", text.upper())
