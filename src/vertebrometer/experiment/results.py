"""From stored predictions to every figure of the report; nothing here trains or looks at a film."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from vertebrometer.experiment.geometric import FIGURE_FIVE, SUBPIXEL, best_mixture, mixed
from vertebrometer.experiment.paper import TABLE_1, TABLE_2
from vertebrometer.experiment.settings import ExperimentSettings
from vertebrometer.experiment.statistics import (
    Reading,
    compare_dice,
    compare_errors,
    dice_by_patient,
    groups,
    pixel_figures,
    value_figures,
)
from vertebrometer.triplets import Exclusion, LeftOut
from vertebrometer.triplets.dividing import WORDS

ALPHA: Final = 0.05


def assemble(settings: ExperimentSettings, raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return all figures as plain values, ready for JSON.

    What depends on the clock stands under `time` alone, so that all else is the
    same after an interruption.
    """
    films, split = raw["films"], raw["split"]
    systems = _systems(raw)
    tested = split.films(films, "test")
    measurable = [body.percent for film in tested for body in film.bodies if body.percent is not None]
    values = {
        name: value_figures(
            seeds, measurable, fractured_from=settings.fractured_from_percent, repeats=settings.repeats
        )
        for name, seeds in systems.items()
    }
    kept = groups(settings.fractured_from_percent)
    tests = {name: compare_errors(systems, kept[name], settings.repeats) for name in ("fractured", "all")}
    patients = {film.name: film.patient for film in films}
    facts = dict(raw["facts"])
    results: dict[str, Any] = {
        "title": settings.title,
        "facts": {k: v for k, v in facts.items() if k not in ("processor", "threads", "gpu", "machine")},
        "films": _film_counts(films, split),
        "chosen": raw["chosen"],
        "segmentation": {name: _segmentation_row(name, settings, raw) for name in raw["segmenters"]},
        "segmentation_tests": compare_dice(
            {name: dice_by_patient(row["pixels"], patients) for name, row in raw["segmenters"].items()},
            settings.repeats,
        ),
        "folds": [_fold_row(fold) for fold in raw["folds"]],
        "triplets": {
            part: _triplet_counts(raw["sets"][part], split.films(films, part)) for part in raw["sets"]
        },
        "values": values,
        "measurable": {name: sum(keep(true) for true in measurable) for name, keep in kept.items()},
        "systems": {name: _system_row(name, settings, raw) for name in systems},
        "tests": tests,
        "order": _order(values, tests["fractured"]),
        "leaky": _leaky_row(settings, raw, values),
        "true_masks": _true_masks(settings, raw),
        "mixture": _mixture(raw) | {"name": _mixture_name(raw)},
        "decision": _decision(raw, tests),
        "figure_7": _figure_seven(settings, systems),
        "time": _time(raw, facts),
    }
    return results


def _systems(raw: Mapping[str, Any]) -> dict[str, list[Sequence[Reading]]]:
    """Return the tested readings of every row of table 2, a list for each seed."""
    systems: dict[str, list[Sequence[Reading]]] = {
        name: [raw["geometry"][name]["test"]] for name in (FIGURE_FIVE, SUBPIXEL)
    }
    for name, row in raw["regressors"].items():
        systems[name] = [seed["test"] for seed in row["seeds"]]
    best, geometry = _best_regressor(raw), raw["geometry"][SUBPIXEL]
    weight = _mixture(raw)["weight"]
    systems[_mixture_name(raw)] = [
        mixed(seed["test"], geometry["test"], weight) for seed in raw["regressors"][best]["seeds"]
    ]
    return systems


def _validation_error(row: Mapping[str, Any]) -> float:
    return float(np.mean([-seed["facts"]["best_score"] for seed in row["seeds"]]))


def _best_regressor(raw: Mapping[str, Any]) -> str:
    """Return the regressor with the least validation error; the test has no say in it.

    Those that already rest on geometry are no candidates, unless there are no others.
    """
    rows: Mapping[str, Any] = raw["regressors"]
    alone = [name for name in rows if name not in raw["with_geometry"]]
    return min(alone or rows, key=lambda name: _validation_error(rows[name]))


def _mixture_name(raw: Mapping[str, Any]) -> str:
    return f"{_best_regressor(raw)}+{SUBPIXEL}"


def _mixture(raw: Mapping[str, Any]) -> dict[str, Any]:
    best, geometry = _best_regressor(raw), raw["geometry"][SUBPIXEL]["validation"]
    seeds = raw["regressors"][best]["seeds"]
    weights = [best_mixture(seed["validation"], geometry)[0] for seed in seeds]
    return {"regressor": best, "weight": round(float(np.mean(weights)), 3)}


def _film_counts(films: Sequence[Any], split: Any) -> dict[str, Any]:
    kinds = Counter(film.group for film in films)
    return {"kinds": dict(sorted(kinds.items())), "parts": split.counts(films)}


def _segmentation_row(name: str, settings: ExperimentSettings, raw: Mapping[str, Any]) -> dict[str, Any]:
    row = raw["segmenters"][name]
    network = next(each.network for each in settings.segmenters if each.name == name)
    return {
        "architecture": network.name,
        "figures": pixel_figures(row["pixels"]),
        "films": len(row["pixels"]),
        "paper": TABLE_1.get(network.name),
        **_run_facts(row),
    }


def _run_facts(row: Mapping[str, Any]) -> dict[str, Any]:
    facts = row["facts"]
    curve = [{k: v for k, v in point.items() if k != "minutes"} for point in facts["curve"]]
    kept = {k: facts[k] for k in ("steps", "best_score", "parameters", "weights", "device")}
    return {**kept, "curve": curve}


def _fold_row(fold: Mapping[str, Any]) -> dict[str, Any]:
    figures = pixel_figures(fold["pixels"])
    return {"films": len(fold["pixels"]), "dice": figures["dice"], **_run_facts(fold)}


def _triplet_counts(found: Any, films: Sequence[Any]) -> dict[str, Any]:
    left_out: Counter[LeftOut] = Counter(exclusion.reason for exclusion in found.left_out)
    with_triplets = {item.valued.film for item in found.items}
    values = [item.valued.percent for item in found.items]
    return {
        "films": len(films),
        "films_without": len(films) - len(with_triplets),
        "triplets": len(found.items),
        "negative": sum(value < 0 for value in values),
        "mean": float(np.mean(values)) if values else None,
        "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "least": min(values, default=None),
        "largest": max(values, default=None),
        "left_out": [
            {
                "reason": reason.value,
                "condition": Exclusion("", 0, reason, 0).condition,
                "words": WORDS[reason],
                "count": left_out[reason],
            }
            for reason in LeftOut
        ],
    }


def _system_row(name: str, settings: ExperimentSettings, raw: Mapping[str, Any]) -> dict[str, Any]:
    if name not in raw["regressors"]:
        paper = TABLE_2.get(name)
        return {"kind": "geometry" if "+" not in name else "mixture", "paper": paper}
    regressor = next(each for each in settings.regressors if each.name == name)
    architecture = regressor.network.name
    seeds = raw["regressors"][name]["seeds"]
    return {
        "kind": "regressor",
        "architecture": architecture,
        "paper": TABLE_2.get(architecture),
        "validation_mae": _validation_error(raw["regressors"][name]),
        "seeds": [_run_facts(seed) for seed in seeds],
    }


def _order(values: Mapping[str, Any], tests: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Systems from the least error on fractured bodies, and which neighbour in this order is truly worse."""
    measured = [name for name in values if values[name]["fractured"]["n"]]
    ranked = sorted(measured, key=lambda name: values[name]["fractured"]["mae"]["value"])
    out = []
    for name in ranked:
        worse = [
            pair["second"] if pair["first"] == name else pair["first"]
            for pair in tests
            if name in (pair["first"], pair["second"]) and _is_better(name, pair)
        ]
        out.append({"name": name, "mae": values[name]["fractured"]["mae"], "better_than": worse})
    return out


def _is_better(name: str, pair: Mapping[str, Any]) -> bool:
    if pair["p_holm"] is None or pair["p_holm"] >= ALPHA or pair["difference"] is None:
        return False
    sign = 1 if pair["first"] == name else -1
    return bool(sign * pair["difference"]["value"] < 0)


def _leaky_row(
    settings: ExperimentSettings, raw: Mapping[str, Any], values: Mapping[str, Any]
) -> dict[str, Any] | None:
    leaky = raw["leaky"]
    if leaky is None:
        return None
    seeds = [seed["test"] for seed in leaky["seeds"]]
    figures = value_figures(
        seeds, None, fractured_from=settings.fractured_from_percent, repeats=settings.repeats
    )
    gaps = {}
    for group in ("fractured", "all"):
        honest, own = values[leaky["name"]][group], figures[group]
        known = honest["n"] and own["n"]
        gaps[group] = honest["mae"]["value"] - own["mae"]["value"] if known else None
    runs = [_run_facts(seed) for seed in leaky["seeds"]]
    return {
        "name": leaky["name"],
        "triplets": leaky["triplets"],
        "figures": figures,
        "gap": gaps,
        "seeds": runs,
    }


def _true_masks(settings: ExperimentSettings, raw: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value_figures(
            [raw["geometry"][name]["true masks"]],
            None,
            fractured_from=settings.fractured_from_percent,
            repeats=settings.repeats,
        )
        for name in (FIGURE_FIVE, SUBPIXEL)
    }


def _decision(raw: Mapping[str, Any], tests: Mapping[str, Any]) -> dict[str, Any]:
    """Tell whether a regressor beats sub-pixel geometry on the same masks: alone, mixed, on its residual."""
    best, mixture = _best_regressor(raw), _mixture_name(raw)
    names = list(dict.fromkeys((best, mixture, *raw["with_geometry"])))
    out: dict[str, Any] = {"regressor": best, "mixture": mixture, "geometry": SUBPIXEL, "names": names}
    for group in ("fractured", "all"):
        for name in names:
            pair = next(p for p in tests[group] if {p["first"], p["second"]} == {name, SUBPIXEL})
            sign = 1 if pair["first"] == name else -1
            difference = pair["difference"]
            if difference is not None and sign < 0:
                difference = _turned(difference)
            out[f"{group}: {name}"] = {
                "difference": difference,
                "p_holm": pair["p_holm"],
                "patients": pair["patients"],
                "better": _is_better(name, pair),
                "worse": _is_better(SUBPIXEL, pair),
            }
    return out


def _turned(difference: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return the difference the other way round."""
    minus = {key: None if value is None else -value for key, value in difference.items()}
    return {"value": minus["value"], "low": minus["high"], "high": minus["low"]}


def _figure_seven(
    settings: ExperimentSettings, systems: Mapping[str, Sequence[Sequence[Reading]]]
) -> dict[str, Any]:
    name = settings.regressor(settings.figure_regressor).name
    rows = [r for r in systems[name][0] if r["measured"] is not None]
    return {
        "name": name,
        "fractured_from": settings.fractured_from_percent,
        "true": [r["true"] for r in rows],
        "measured": [r["measured"] for r in rows],
    }


def _time(raw: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    runs = {f"segmentation {name}": row for name, row in raw["segmenters"].items()}
    runs |= {f"fold {n}": fold for n, fold in enumerate(raw["folds"], 1)}
    for name, row in raw["regressors"].items():
        runs |= {f"{name}, run {n}": seed for n, seed in enumerate(row["seeds"], 1)}
    if raw["leaky"]:
        runs |= {f"leaky, run {n}": seed for n, seed in enumerate(raw["leaky"]["seeds"], 1)}
    rows = {name: run["facts"]["minutes"] for name, run in runs.items()}
    machines = {name: run["facts"].get("machine", "") for name, run in runs.items()}
    hardware = {k: facts[k] for k in ("processor", "machine", "threads", "gpu")}
    return {
        "minutes": rows,
        "machines": machines,
        "total_minutes": round(sum(rows.values()), 1),
        "hardware": hardware,
    }
