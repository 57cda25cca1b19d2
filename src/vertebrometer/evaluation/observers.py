"""Agreement of readers with one another and with themselves, from repeated readings in a table.

Within a reader: Bland JM, Altman DG, Lancet 1986;i:307-10 (repeatability) and
BMJ 1996;313:744 (within-subject SD). Between readers: Shrout PE, Fleiss JL,
Psychol Bull 1979;86:420-8.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np

from vertebrometer.errors import MissingFileError, SettingsError
from vertebrometer.evaluation.agreement import (
    BlandAltman,
    Estimate,
    bland_altman,
    icc_agreement,
    icc_consistency,
    lin_concordance,
)
from vertebrometer.types import FloatArray


@dataclass(frozen=True, slots=True)
class ReadingRow:
    """One value that one reader read once."""

    subject: str
    reader: str
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderAgreement:
    """One reader against himself."""

    reader: str
    subjects: int
    """That he read at least `readings` times."""
    left_out: int
    """That he read less often than that."""
    readings: int
    within_sd: float
    """Root of the mean variance of repeated readings: the error of one reading."""
    repeatability: float
    """1.96 times the root of 2 times the within-subject SD: 95 of 100 pairs of readings differ by less."""
    icc_2_1: Estimate | None
    icc_3_1: Estimate | None
    limits: BlandAltman | None
    """Of the first reading less the second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadersAgreement:
    """Several readers against one another."""

    readers: tuple[str, ...]
    subjects: int
    left_out: int
    icc_2_1: Estimate | None
    icc_3_1: Estimate | None
    pairs: Mapping[tuple[str, str], PairAgreement]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairAgreement:
    """Two readers."""

    limits: BlandAltman | None
    lin_concordance: Estimate | None


def read_readings(
    path: Path, *, subject: str = "subject", reader: str = "reader", value: str = "value"
) -> list[ReadingRow]:
    """Read a table with a row for each reading; repeated readings are further rows, in their order.

    Parameters
    ----------
    subject, reader, value : str
        Names of the columns; further columns are left alone. Empty values are
        readings that were not made.

    Raises
    ------
    MissingFileError, SettingsError
        No file, no such column, a value that is no number, or no row at all.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.DictReader(file)
            columns = [name.strip() for name in table.fieldnames or ()]
            table.fieldnames = columns
            lines = list(table)
    except FileNotFoundError:
        msg = f"no table {path.name}"
        raise MissingFileError(msg) from None
    except (UnicodeDecodeError, csv.Error) as error:
        msg = f"{path.name} is no table of comma-separated text in UTF-8 ({type(error).__name__})"
        raise SettingsError(msg) from error
    for name in (subject, reader, value):
        if name not in columns:
            has = ", ".join(columns) or "none"
            msg = f"{path.name} has no column {name!r}; its columns are {has}"
            raise SettingsError(msg)
    rows = []
    for number, line in enumerate(lines, 2):
        text = (line[value] or "").strip().rstrip("% ")
        if not text:
            continue
        who, what = (line[reader] or "").strip(), (line[subject] or "").strip()
        try:
            read = float(text)
        except ValueError:
            read = float("nan")
        if not np.isfinite(read) or not who or not what:
            msg = f"{path.name}, line {number}: a subject, a reader and a number are wanted"
            raise SettingsError(msg)
        rows.append(ReadingRow(what, who, read))
    if not rows:
        msg = f"{path.name} holds no reading"
        raise SettingsError(msg)
    return rows


def within_readers(rows: Sequence[ReadingRow]) -> list[ReaderAgreement]:
    """Tell how well each reader repeats himself; readers who read nothing twice are left out.

    A reader's subjects enter with as many readings as most of them have; what he
    read less often is left out and counted.
    """
    out = []
    for reader, subjects in _by_reader(rows).items():
        counts = [len(values) for values in subjects.values() if len(values) > 1]
        if not counts:
            continue
        readings = int(np.bincount(counts).argmax())
        table = np.array([v[:readings] for v in subjects.values() if len(v) >= readings], dtype=np.float64)
        within = float(np.sqrt(table.var(axis=1, ddof=1).mean()))
        out.append(
            ReaderAgreement(
                reader=reader,
                subjects=len(table),
                left_out=len(subjects) - len(table),
                readings=readings,
                within_sd=within,
                repeatability=float(1.96 * np.sqrt(2.0) * within),
                icc_2_1=_icc(icc_agreement, table),
                icc_3_1=_icc(icc_consistency, table),
                limits=bland_altman(table[:, 0], table[:, 1]),
            )
        )
    return out


def between_readers(rows: Sequence[ReadingRow]) -> ReadersAgreement | None:
    """Tell how well readers agree, by the mean of each one's readings; None for a single reader."""
    by_reader = _by_reader(rows)
    readers = tuple(by_reader)
    if len(readers) < 2:
        return None
    subjects = list(dict.fromkeys(row.subject for row in rows))
    shared = [s for s in subjects if all(s in by_reader[reader] for reader in readers)]
    table: FloatArray = np.array([[np.mean(by_reader[r][s]) for r in readers] for s in shared]).reshape(
        -1, len(readers)
    )
    return ReadersAgreement(
        readers=readers,
        subjects=len(shared),
        left_out=len(subjects) - len(shared),
        icc_2_1=icc_agreement(table) if shared else None,
        icc_3_1=icc_consistency(table) if shared else None,
        pairs={
            (readers[a], readers[b]): PairAgreement(
                limits=bland_altman(table[:, a], table[:, b]) if len(shared) else None,
                lin_concordance=lin_concordance(table[:, a], table[:, b]) if len(shared) else None,
            )
            for a, b in combinations(range(len(readers)), 2)
        },
    )


def _icc(coefficient: Callable[[FloatArray], Estimate | None], table: FloatArray) -> Estimate | None:
    """Return a coefficient, or None for subjects that are all alike."""
    differs = len(table) > 0 and float(np.ptp(table.mean(axis=1))) > 0
    return coefficient(table) if differs else None


def _by_reader(rows: Sequence[ReadingRow]) -> dict[str, dict[str, list[float]]]:
    out: dict[str, dict[str, list[float]]] = {}
    for row in rows:
        out.setdefault(row.reader, {}).setdefault(row.subject, []).append(row.value)
    return out


def agreement_as_markdown(within: Sequence[ReaderAgreement], between: ReadersAgreement | None) -> str:
    """Return both as Markdown tables, with 95 % intervals; what could not be computed is a dash."""
    lines: list[str] = []
    heads: tuple[str, ...]
    if within:
        heads = ("reader", "subjects", "readings", "left out", "within-subject SD", "repeatability")
        heads += ("ICC(2,1)", "ICC(3,1)", "bias", "limits of agreement")
        lines += [_line(heads), _line(("---",) * len(heads))]
        for r in within:
            counts = (str(r.subjects), str(r.readings), str(r.left_out))
            spread = (f"{r.within_sd:.3g}", f"{r.repeatability:.3g}")
            icc = (_estimate(r.icc_2_1), _estimate(r.icc_3_1))
            lines.append(_line((r.reader, *counts, *spread, *icc, *_limits(r.limits))))
    if between is not None:
        words = f"{len(between.readers)} readers, {between.subjects} subjects that all of them read, "
        words += f"{between.left_out} left out: ICC(2,1) {_estimate(between.icc_2_1)}, "
        words += f"ICC(3,1) {_estimate(between.icc_3_1)}."
        heads = ("first", "second", "Lin's concordance", "bias", "limits of agreement")
        lines += [*([""] if lines else []), words, "", _line(heads), _line(("---",) * len(heads))]
        for (a, b), pair in between.pairs.items():
            lines.append(_line((a, b, _estimate(pair.lin_concordance), *_limits(pair.limits))))
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _estimate(estimate: Estimate | None) -> str:
    return "-" if estimate is None else f"{estimate.value:.3f} [{estimate.low:.3f}, {estimate.high:.3f}]"


def _limits(limits: BlandAltman | None) -> tuple[str, str]:
    if limits is None:
        return ("-", "-")
    ends = (f"{end.value:.3g} [{end.low:.3g}, {end.high:.3g}]" for end in (limits.lower, limits.upper))
    bias = limits.bias
    return (f"{bias.value:+.3g} [{bias.low:+.3g}, {bias.high:+.3g}]", " to ".join(ends))
