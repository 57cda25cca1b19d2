"""Why something was not measured, or was measured with doubt: a closed list."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """A reason that a machine can read; `explain` words it for a reader."""

    NO_NEIGHBOUR_ABOVE = "no_neighbour_above"
    NO_NEIGHBOUR_BELOW = "no_neighbour_below"
    NEIGHBOURS_NOT_ADJACENT = "neighbours_not_adjacent"
    NO_INTACT_NEIGHBOUR = "no_intact_neighbour"
    MERGED_BODIES = "merged_bodies"
    BROKEN_BODY = "broken_body"
    CORNERS_NOT_FOUND = "corners_not_found"
    CUT_BY_BORDER = "cut_by_border"
    NEIGHBOUR_UNUSABLE = "neighbour_unusable"
    LOW_CONFIDENCE = "low_confidence"
    IMPLAUSIBLE_SHAPE = "implausible_shape"
    METALWORK = "metalwork"
    CEMENT = "cement"
    FACING_UNSURE = "facing_unsure"
    NO_BODIES_FOUND = "no_bodies_found"
    TOO_FEW_BODIES = "too_few_bodies"
    NOT_A_LATERAL_SPINE = "not_a_lateral_spine"
    NO_SPACING = "no_spacing"
    EXCLUDED_BY_READER = "excluded_by_reader"
    INTERVAL_TOO_WIDE = "interval_too_wide"
    NOT_SEEN = "not_seen"
    LIES_ON_ITS_SIDE = "lies_on_its_side"
    CERVICAL_SPINE = "cervical_spine"
    FACING_CONTRADICTED = "facing_contradicted"
    IMPLAUSIBLE_SPACING = "implausible_spacing"


_WORDS: dict[Reason, str] = {
    Reason.NO_NEIGHBOUR_ABOVE: "no body above it to compare with",
    Reason.NO_NEIGHBOUR_BELOW: "no body below it to compare with",
    Reason.NEIGHBOURS_NOT_ADJACENT: "a body between it and its neighbour was not found",
    Reason.NO_INTACT_NEIGHBOUR: "no intact body near enough to compare with",
    Reason.MERGED_BODIES: "it could not be told from the body next to it",
    Reason.BROKEN_BODY: "its outline fell into several parts",
    Reason.CORNERS_NOT_FOUND: "its corners could not be found",
    Reason.CUT_BY_BORDER: "the border of the film, or of what a collimator leaves open, cuts through it",
    Reason.NEIGHBOUR_UNUSABLE: "a neighbour could not be measured",
    Reason.LOW_CONFIDENCE: "it can hardly be seen",
    Reason.IMPLAUSIBLE_SHAPE: "its outline does not look like a vertebral body",
    Reason.METALWORK: "metalwork lies over it",
    Reason.CEMENT: "it holds cement",
    Reason.FACING_UNSURE: "it is not sure on which side the front of the spine lies",
    Reason.FACING_CONTRADICTED: "its bodies look as if they face the other way than a reader said",
    Reason.NO_BODIES_FOUND: "no vertebral body was found",
    Reason.TOO_FEW_BODIES: "fewer than three bodies were found",
    Reason.NOT_A_LATERAL_SPINE: (
        "this does not look like a lateral film of the spine, or shows none of it clearly"
    ),
    Reason.NO_SPACING: "the film states no pixel spacing",
    Reason.IMPLAUSIBLE_SPACING: "no spine is as large or as small as the pixel spacing makes this one",
    Reason.EXCLUDED_BY_READER: "a reader took it out",
    Reason.INTERVAL_TOO_WIDE: "its compression is less sure than two readers are of one another",
    Reason.NOT_SEEN: "it is not seen; its outline only shows where its neighbours expect it",
    Reason.LIES_ON_ITS_SIDE: "the film lies on its side: turn it by 90 degrees, head up, and measure again",
    Reason.CERVICAL_SPINE: "most bodies look like those of the neck, which nothing was checked on",
}

OVERRULABLE: tuple[Reason, ...] = tuple(
    reason for reason in Reason if reason not in (Reason.NOT_SEEN, Reason.NO_BODIES_FOUND)
)
"""All that a user can tell the program to ignore; where nothing was seen there is nothing to measure."""


def explain(reason: Reason) -> str:
    """Word a reason for a reader, to follow "not measured, because"."""
    return _WORDS[reason]


@dataclass(frozen=True, slots=True)
class NotMeasured:
    """Stands where a value would stand; never zero, never NaN."""

    reason: Reason

    def __str__(self) -> str:
        return f"not measured, because {explain(self.reason)}"
