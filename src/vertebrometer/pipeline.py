"""Radiograph to report: the one place where the rooms meet."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np

from vertebrometer.anatomy import LEVELS, OVERRULABLE, Facing, Reason
from vertebrometer.compression import Definition, IntervalCalibration
from vertebrometer.config import settings_as_dict
from vertebrometer.errors import SettingsError, WeightsError
from vertebrometer.quality import (
    LEAST_CONFIDENCE,
    ORDER_LOG_CHANCE,
    REFUSING,
    SACRUM_FROM,
    TWO_SIDED,
    film_reasons,
    in_order,
    runs_across,
)
from vertebrometer.radiographs import ASSUMED_POLARITY, STATED_POLARITY, Radiograph
from vertebrometer.report import FilmFacts, FilmReport, ModelUsed, measured_report
from vertebrometer.runtime import MeasuringNetworks, OnnxPredictor, open_networks
from vertebrometer.segmentation import Segmentation, likely_aspect, proportion, segment

log = logging.getLogger(__name__)

_TRUSTED: Final = 2.5
"""Sum of confidences from which the bodies themselves say that bone is bright, or that a film is upright."""

_BRIGHT_AIR: Final = "bone-dark, found from the vertebral bodies"

_QUARTERS: Final = (1, -1)
_HEAD_LIES: Final = {1: "its head lies on the right", -1: "its head lies on the left"}
"""Turned against the clock, what lay on the right of a film is at its top."""

_GUESSED_ASPECTS: Final = (1.5, 1 / 1.5)
"""Pixels tried where too few bodies are seen well to tell how a film is squashed."""

_HIDDEN_FROM: Final = 1.3
"""Factor by which bodies must be squashed to be hardly found as the film is."""

_LEAST_NOT_MORE: Final = 6
"""Sure bodies in good order from which a restored film need not show more than it does as it is, and one on
its side is turned: thoraces showed eight and more, frontal films in such an order four and five."""

_LEAST_GUESSED: Final = 3.5
"""Sum of confidences from which that is believed."""

_ORDER_RESTORED: Final = -1.5
"""Logarithm of the chance of the middling body's level from which a film that is refused as it is shows
levels in order when its shape was guessed, or restored by more than `_FAR` with no sacrum below."""

_FAR: Final = 1.5
"""Factor of an aspect: spines from the front are so flat, and less squashed lateral films in poorer order."""

_REFUSED_WITHIN: Final = 1.05
_MEASURABLE_WITHIN: Final = 1.15
_MOST_RESTORED: Final = 3
"""The more a film is squashed, the less its bodies say by how much: it is restored anew, so many times in
all, where they then ask for pixels that differ by more than this factor, be it refused as it is or not."""

_MORE_SEEN: Final = 1.25
_MORE_SURELY_SEEN: Final = 1.2
"""How many times as much must be seen, rightly shaped, on a film that is refused as it is, and how much more
surely where a sacrum follows (docs/decisions/0012-squashed-films.md)."""

_CALIBRATION_FILE: Final = Path(__file__).parent / "data" / "calibration.json"
"""Written by ``python benchmarks/calibrate.py`` from films that nothing was trained on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureSettings:
    """How films are measured; saved whole with every report."""

    definition: Definition = Definition.ADJACENT_MEAN
    facing: Facing = Facing.UNKNOWN
    """Given by a reader; UNKNOWN lets the film tell."""
    levels: Mapping[int, str] = field(default_factory=dict)
    """Names that a reader gave: number of the body from the top (from 1) to its level."""
    force: bool = False
    """Measure in spite of all reasons against it; the report records them."""
    widest_points: float = 12.0
    """A value whose 90 % interval reaches farther to either side, in percentage points, is not told.

    Two readers' limits of agreement on the same body are 11.75 to 12.53 points (Buckens CF et al., PLoS ONE
    2013;8:e71204): what is less sure than that says nothing."""
    threads: int = 0
    """CPU threads of the networks; 0 leaves that to the machine."""

    def __post_init__(self) -> None:
        for number, name in self.levels.items():
            if number < 1 or name not in LEVELS:
                msg = f"levels want names of bodies counted from 1 at the top, as 5: L1; got {number}: {name}"
                raise SettingsError(msg)


class Measurer:
    """Measures films with the shipped networks; opened once, used for many films.

    Parameters
    ----------
    settings : MeasureSettings, optional
        How films are measured.
    weights : Path, optional
        Folder of other weights than the shipped ones.
    networks : MeasuringNetworks, optional
        Networks that are open already; `weights` and the threads of `settings` then say nothing.
    calibration : IntervalCalibration, optional
        Other intervals than the shipped ones.

    Raises
    ------
    WeightsError
        The shipped weights are missing or damaged.
    """

    def __init__(
        self,
        settings: MeasureSettings | None = None,
        *,
        weights: Path | None = None,
        networks: MeasuringNetworks | None = None,
        calibration: IntervalCalibration | None = None,
    ) -> None:
        self.settings = settings or MeasureSettings()
        self.calibration = calibration or shipped_calibration()
        if networks is None:
            where = {} if weights is None else {"folder": weights}
            networks = open_networks(threads=self.settings.threads, **where)
        self._networks = networks

    @property
    def models(self) -> tuple[ModelUsed, ...]:
        """Name, version and checksum of each network."""
        return tuple(_model_used(predictor) for predictor in self._networks.all)

    @property
    def model_hashes(self) -> dict[str, str]:
        """SHA-256 of each weight file, by name."""
        return {model.name: model.sha256 for model in self.models}

    def segment(self, radiograph: Radiograph, *, turned: bool = False, upright: bool = False) -> Segmentation:
        """Find and outline the bodies of a film.

        Parameters
        ----------
        radiograph : Radiograph
            The film.
        turned : bool
            Whether it was turned by 180 degrees since a reader saw it.
        upright : bool
            Whether it is known not to stand on its head.
        """
        facing = self.settings.facing
        return segment(
            radiograph.image,
            pixel_rc=radiograph.pixel_rc,
            pixel_mm=radiograph.spacing.col_mm if radiograph.spacing else None,
            coarse=self._networks.coarse,
            points=self._networks.points,
            corners=self._networks.corners,
            facing=facing.opposite if turned else facing,
            pinned={number - 1: name for number, name in self.settings.levels.items()},
            upright=upright or self.settings.force,
        )

    def _rightly_polar(self, radiograph: Radiograph) -> tuple[Radiograph, Segmentation]:
        """Segment the film; where little was found, also its negative, unless a user said how it is stored.

        Files say at times that bright is dark. Against its file a film is a negative only where it is refused
        as it is, and measured as a negative.
        """
        found = self.segment(radiograph)
        said = radiograph.facts.get("polarity")
        if said not in (ASSUMED_POLARITY, STATED_POLARITY) or _trust(found) >= _TRUSTED:
            return radiograph, found
        stated = said == STATED_POLARITY
        if stated and not REFUSING.intersection(film_reasons(radiograph, found)):
            return radiograph, found
        told = f"{_BRIGHT_AIR}, against what the file states" if stated else _BRIGHT_AIR
        negative = replace(
            radiograph,
            image=np.asarray(1 - radiograph.image, dtype=np.float32),
            facts={**radiograph.facts, "polarity": told},
        )
        other = self.segment(negative)
        better = _trust(other) > 1.5 * _trust(found) + 0.5
        if stated and REFUSING.intersection(film_reasons(negative, other)):
            better = False
        return (negative, other) if better else (radiograph, found)

    def _rightly_turned(
        self, radiograph: Radiograph, found: Segmentation
    ) -> tuple[Radiograph, Segmentation, bool]:
        """Segment a film that seems to stand on its head turned by 180 degrees; say whether it was turned."""
        if not found.on_its_head:
            return radiograph, found, False
        refused = REFUSING.intersection(film_reasons(radiograph, found))
        if refused and found.facing_confidence < TWO_SIDED:
            # From the front bodies look like any level, also upside down.
            return radiograph, found, False
        facts = {**radiograph.facts, "upright": "no, on its head, found from the vertebral bodies"}
        image = np.ascontiguousarray(radiograph.image[::-1, ::-1])
        turned = replace(radiograph, image=image, facts=facts)
        other = self.segment(turned, turned=True)
        if other.on_its_head or REFUSING.intersection(film_reasons(turned, other)):
            return radiograph, self.segment(radiograph, upright=True), False
        return turned, other, True

    def _rightly_shaped(
        self, radiograph: Radiograph, found: Segmentation, *, turned: bool = False
    ) -> tuple[Radiograph, Segmentation]:
        """Segment a film that seems squashed with the pixels that give its bodies their usual proportions.

        Only where nothing is known of the pixels, and only where more is seen so. What looks like bodies from
        the front is flat as well: a film that is refused as it is must have one front and show far more.
        """
        if radiograph.spacing is not None or radiograph.aspect != 1.0:
            return radiograph, found
        if REFUSING.intersection(film_reasons(radiograph, found)):
            return self._measurable_when_restored(radiograph, found, turned=turned)
        aspect = likely_aspect(found.vertebrae)
        if aspect is None:
            return radiograph, found
        restored, other = self._restored(radiograph, aspect, turned=turned, within=_MEASURABLE_WITHIN)
        # Restored, levels look like themselves less surely: no film whose front stays clear is lost by that.
        lost = bool(REFUSING.intersection(film_reasons(restored, other)))
        better = _surely(other) > _surely(found) and not (lost and other.facing_confidence >= TWO_SIDED)
        return (restored, other) if better else (radiograph, found)

    def _measurable_when_restored(
        self, radiograph: Radiograph, found: Segmentation, *, turned: bool
    ) -> tuple[Radiograph, Segmentation]:
        """Restore a film that is refused as it is; it stays as it is where it shows no spine then either.

        Bodies that are squashed by half are hardly found. Where too few are seen well to tell by how much, it
        is tried with pixels half as high again and half as wide again, and what is found then tells.
        """
        if found.facing_confidence < TWO_SIDED:
            return radiograph, found
        first = likely_aspect(found.vertebrae)
        tries = [] if first is None else [(first, False)]
        if not _bear_witness(found):
            tries += [(aspect, True) for aspect in _GUESSED_ASPECTS]
        for aspect, guessed in tries:
            within = math.inf if guessed else _REFUSED_WITHIN
            restored, other = self._restored(radiograph, aspect, turned=turned, within=within)
            if guessed:
                asked = likely_aspect(other.vertebrae) or 1.0
                if _alike(asked, 1.0, _HIDDEN_FROM):
                    # No bodies, or such as would have been found: of nearly usual proportions as the film is.
                    continue
                if not _alike(asked, aspect, _REFUSED_WITHIN):
                    restored, other = self._restored(radiograph, asked, turned=turned, within=_REFUSED_WITHIN)
            refused = REFUSING.intersection(film_reasons(restored, other))
            far = not _alike(restored.aspect, radiograph.aspect, _FAR)
            if not refused and _shows_more(found, other, guessed=guessed, far=far):
                return restored, other
        return radiograph, found

    def _restored(
        self, radiograph: Radiograph, aspect: float, *, turned: bool, within: float
    ) -> tuple[Radiograph, Segmentation]:
        """Segment a film with pixels of this aspect, and anew where its bodies then ask for others."""
        for _ in range(_MOST_RESTORED):
            facts = {**radiograph.facts, "aspect": _told_aspect(aspect)}
            restored = replace(radiograph, aspect=aspect, facts=facts)
            other = self.segment(restored, turned=turned)
            asked = likely_aspect(other.vertebrae)
            if asked is None or _alike(asked, aspect, within):
                break
            aspect = asked
        return restored, other

    def _raised(self, radiograph: Radiograph) -> _Raised | None:
        """Turn a film by a quarter, to one side and then, unless it is measured so, to the other.

        None where it shows no spine either way.
        """
        lies = None
        for quarters in _QUARTERS:
            turned = _quarter_turned(radiograph, quarters)
            found = self.segment(turned)
            refused = REFUSING.intersection(film_reasons(turned, found))
            # Bodies of a film that lies are found now and then; what lies since it was turned did not before.
            if refused or _trust(found) < _TRUSTED or runs_across(turned, found):
                continue
            lies = lies or _Raised(radiograph, found, measurable=False)
            if not found.on_its_head and _surely_lateral(found):
                return self._measurable_raised(radiograph, turned, found, quarters)
        return lies

    def _measurable_raised(
        self, radiograph: Radiograph, turned: Radiograph, found: Segmentation, quarters: int
    ) -> _Raised:
        """Carry what a film shows with its head up back to the film as it lies."""
        shaped, found = self._rightly_shaped(turned, found)
        facts = {
            **radiograph.facts,
            "upright": f"no, {_HEAD_LIES[quarters]}, found from the vertebral bodies",
        }
        aspect = radiograph.aspect
        if shaped.aspect != turned.aspect:
            aspect = 1 / shaped.aspect
            facts["aspect"] = _told_aspect(aspect)
        return _Raised(
            replace(radiograph, aspect=aspect, facts=facts),
            found.turned_back(turned.image.shape, quarters),
            measurable=True,
        )

    def measure(self, radiograph: Radiograph, *, sha256: str = "") -> FilmReport:
        """Measure one film.

        Parameters
        ----------
        radiograph : Radiograph
            As `read_radiograph` gives it.
        sha256 : str, optional
            Checksum of the file that it was read from, kept in the report.

        Raises
        ------
        SettingsError
            A reader named a body that was not found, or names that no spine has together.
        """
        started = time.perf_counter()
        # Where a film shows nothing as it lies, that says nothing of its polarity.
        stored = radiograph
        radiograph, found, turned = self._rightly_turned(*self._rightly_polar(radiograph))
        radiograph, found = self._rightly_shaped(radiograph, found, turned=turned)
        if not turned:
            # Squashed, bodies may not name themselves any way up.
            radiograph, found, turned = self._rightly_turned(radiograph, found)
        reasons = film_reasons(radiograph, found)
        if turned:
            found = found.turned_back(radiograph.image.shape, 2)
        doubtful = REFUSING.intersection(reasons) or runs_across(radiograph, found)
        raised = self._raised(stored) if doubtful else None
        if raised and raised.measurable and not self.settings.force:
            radiograph, found = raised.radiograph, raised.found
            reasons = film_reasons(radiograph, found)
        elif raised:
            reasons = (*reasons, Reason.LIES_ON_ITS_SIDE)
        if found.pins_refused and (self.settings.force or not REFUSING.intersection(reasons)):
            raise SettingsError(found.pins_refused)
        settings = settings_as_dict(self.settings)
        return measured_report(
            found.vertebrae,
            film=film_facts(radiograph, sha256=sha256),
            facing=found.facing,
            facing_confidence=found.facing_confidence,
            definition=self.settings.definition,
            models=self.models,
            settings=settings,
            reasons=reasons,
            overruled=OVERRULABLE if self.settings.force else (),
            calibration=self.calibration,
            widest_points=self.settings.widest_points,
            elapsed_s=time.perf_counter() - started,
        )


def shipped_calibration() -> IntervalCalibration:
    """Return the widening of intervals that belongs to the shipped weights."""
    try:
        facts = json.loads(_CALIBRATION_FILE.read_text(encoding="utf-8"))
        return IntervalCalibration(
            limits_percent=tuple(facts["limits_percent"]),
            factors=tuple(facts["factors"]),
            floors_points=tuple(facts["floors_points"]),
        )
    except (OSError, ValueError, KeyError) as error:
        msg = f"{_CALIBRATION_FILE.name} is missing or damaged; reinstall vertebrometer"
        raise WeightsError(msg) from error


@dataclass(frozen=True, slots=True, eq=False)
class _Raised:
    """What a film on its side shows head up; in pixels of the film as it lies where it is measurable."""

    radiograph: Radiograph
    found: Segmentation
    measurable: bool
    """Whether its bodies name themselves so well that it is not left to a reader to turn it."""


def _quarter_turned(radiograph: Radiograph, quarters: int) -> Radiograph:
    """Turn a film by 90 degrees, against the clock or (-1) with it."""
    spacing = radiograph.spacing
    row, col = radiograph.pixel_rc
    return replace(
        radiograph,
        image=np.ascontiguousarray(np.rot90(radiograph.image, quarters)),
        spacing=None if spacing is None else replace(spacing, row_mm=spacing.col_mm, col_mm=spacing.row_mm),
        aspect=col / row,
    )


def _told_aspect(aspect: float) -> str:
    return f"{aspect:.2f}, found from the vertebral bodies"


def _surely_lateral(found: Segmentation) -> bool:
    """Whether bodies look so much like levels in order that a film which shows none as it lies is turned."""
    order = found.order_log_chance
    followed = found.sacrum_seen >= SACRUM_FROM and found.facing_confidence >= TWO_SIDED
    if followed and order is not None and order >= _ORDER_RESTORED:
        return True
    return in_order(found, least=_LEAST_NOT_MORE)


def _trust(found: Segmentation) -> float:
    return sum(vertebra.confidence for vertebra in found.vertebrae)


def _alike(aspect: float, other: float, within: float) -> bool:
    """Whether two aspects differ by less than this factor."""
    return 1 / within < aspect / other < within


def _bear_witness(found: Segmentation) -> bool:
    """Whether enough bodies are seen well enough to tell how a film is squashed."""
    confidence = [vertebra.confidence for vertebra in found.vertebrae]
    return proportion(found.vertebrae) is not None and float(np.median(confidence)) >= LEAST_CONFIDENCE


def _shows_more(found: Segmentation, restored: Segmentation, *, guessed: bool, far: bool) -> bool:
    """Whether a film that is refused as it is shows the bodies of one spine when restored.

    Seen from the front, bodies that are given other proportions do not turn into levels in order, nor do many
    more of them come to light; where hardly any were seen before (`guessed`), a few do, in some order. `far`
    says that their proportions were changed by much.
    """
    order, followed = restored.order_log_chance, restored.sacrum_seen >= SACRUM_FROM
    if restored.facing_confidence < TWO_SIDED or order is None:
        return False
    if order < (_ORDER_RESTORED if guessed or (far and not followed) else ORDER_LOG_CHANCE):
        return False
    if guessed:
        return _trust(restored) >= max(_LEAST_GUESSED, _MORE_SEEN * _trust(found))
    if in_order(restored, least=_LEAST_NOT_MORE):
        return True
    surely = followed and _surely(restored) >= _MORE_SURELY_SEEN * _surely(found)
    return surely or _trust(restored) >= _MORE_SEEN * _trust(found)


def _surely(found: Segmentation) -> float:
    """How much is seen surely: few sure bodies outweigh many doubtful ones."""
    return sum(vertebra.confidence**4 for vertebra in found.vertebrae)


def measure(radiograph: Radiograph, settings: MeasureSettings | None = None) -> FilmReport:
    """Measure one film with the shipped networks; for many films keep a `Measurer`."""
    return Measurer(settings).measure(radiograph)


def film_facts(radiograph: Radiograph, *, sha256: str = "") -> FilmFacts:
    """Return what a report tells of a film."""
    spacing = radiograph.spacing
    return FilmFacts(
        file=radiograph.name,
        sha256=sha256,
        rows=radiograph.image.shape[0],
        cols=radiograph.image.shape[1],
        spacing_mm=spacing.rc if spacing else None,
        spacing_source=spacing.source.value if spacing else "none",
        aspect=radiograph.pixel_rc[0] / radiograph.pixel_rc[1],
        facts=radiograph.facts,
    )


def _model_used(predictor: OnnxPredictor) -> ModelUsed:
    return ModelUsed(name=predictor.card.name, version=predictor.card.version, sha256=predictor.sha256)
