"""The experiment from its settings file to its report; every system that is done is taken as it is."""

from __future__ import annotations

import json
import logging
import platform
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

import vertebrometer
from vertebrometer.config import read_settings, settings_as_dict
from vertebrometer.errors import SettingsError, UnknownNameError
from vertebrometer.evaluation import Confusion
from vertebrometer.experiment.films import Film, hash_of
from vertebrometer.experiment.gathering import gather
from vertebrometer.experiment.geometric import (
    FIGURE_FIVE,
    SUBPIXEL,
    figure_five_value,
)
from vertebrometer.experiment.records import RESULT, fingerprint, processor, stored, write_json
from vertebrometer.experiment.regressing import RegressionData, readings, run_regressor
from vertebrometer.experiment.reporting import write_report
from vertebrometer.experiment.results import assemble
from vertebrometer.experiment.segmenting import keep_map, kept_map, predicted, run_segmenter
from vertebrometer.experiment.settings import TRUTH, ExperimentSettings, Regressor
from vertebrometer.experiment.split import Split, make_split
from vertebrometer.experiment.triplet_data import (
    Targets,
    TripletItem,
    TripletSet,
    TripletSource,
    joined,
    subpixel_value,
    triplets_of,
    true_triplets_of,
)
from vertebrometer.networks import REGRESSORS, SEGMENTERS, NetworkConfig, build_network
from vertebrometer.training import BEST, load_network

log = logging.getLogger(__name__)

EXCLUSIONS = "exclusions.json"
_LEAKY = "leaky"


def run_experiment(config: Path, *, tell: Callable[[str], None] = log.info) -> Path:
    """Train, measure, compare and report, as a settings file says; return the report's HTML page.

    An interrupted run goes on where it stopped when it is called again, and its
    figures are those of a run without interruption.

    Raises
    ------
    VertebrometerError
        Settings, tables or files are wrong: told before anything is trained.
    """
    settings = read_settings(config, ExperimentSettings)
    check_networks(settings)
    base, out = config.parent, config.parent / settings.out
    out.mkdir(parents=True, exist_ok=True)
    films = gather(settings.data, out, base=base, tell=tell, processes=settings.processes)
    split = make_split(films, settings.split)
    check_truth(settings, films, split)
    lab = _Lab(settings, out, films, split, hash_of(films), tell)
    raw = lab.run()
    results = assemble(settings, raw)
    write_json(out / "results.json", results)
    page = write_report(base / settings.report if settings.report else out, results, lab.pictures(raw))
    tell(f"report: {page.name} in {page.parent.name}")
    return page


def check_networks(settings: ExperimentSettings) -> None:
    """Refuse networks that do not exist, do not fit the canvas or cannot be trained as asked."""
    for segmenter in settings.segmenters:
        _require_kind(segmenter.network, SEGMENTERS, "segmenter")
        step = segmenter.network.multiple_of
        if settings.data.canvas_px % step:
            msg = f"{segmenter.name} wants a canvas_px that is a multiple of {step}"
            raise SettingsError(msg)
        window = settings.film_augmentation.window_px
        if any(side % step or side > settings.data.canvas_px for side in window):
            msg = (
                f"{segmenter.name} wants a window_px in multiples of {step}, not larger than canvas_px; "
                f"got {window[0]} x {window[1]}"
            )
            raise SettingsError(msg)
        if segmenter.network.out_channels != 1 or segmenter.network.in_channels != 1:
            msg = f"{segmenter.name} wants one channel in and one mask out"
            raise SettingsError(msg)
    for regressor in settings.regressors:
        _require_kind(regressor.network, REGRESSORS, "regressor")
        _require_size(regressor, settings.view.side_px)
    fits = [settings.segmentation, settings.regression]
    fits += [segmenter.fit for segmenter in settings.segmenters if segmenter.fit]
    fits += [regressor.fit for regressor in settings.regressors if regressor.fit]
    for fit in fits:
        try:
            fit.run(Path(), NetworkConfig(name="unet"), 0)
        except ValueError as error:
            msg = f"settings of training: {error}"
            raise SettingsError(msg) from error


def _require_kind(network: NetworkConfig, known: Sequence[str], kind: str) -> None:
    if network.name not in known:
        raise UnknownNameError(kind=kind, name=network.name, known=known)


def _require_size(regressor: Regressor, side_px: int) -> None:
    try:
        with torch.device("meta"):
            network = build_network(regressor.network).eval()
            network(torch.empty(1, 1, side_px, side_px))
    except (ValueError, RuntimeError) as error:
        msg = f"{regressor.name} cannot look at triplets of {side_px} x {side_px} pixels: {error}"
        raise SettingsError(msg) from error


def check_truth(settings: ExperimentSettings, films: Sequence[Film], split: Split) -> None:
    """Refuse films without values, and heights where there are no corners."""
    for part in ("train", "validation", "test"):
        if not any(film.measurable for film in split.films(films, part)):
            msg = f"no body of the films for {part} has a known compression; fill the column of values"
            raise SettingsError(msg)
    knows_heights = any(body.anterior_px for film in films for body in film.bodies)
    for regressor in settings.regressors:
        if regressor.targets == "heights" and not knows_heights:
            msg = f"{regressor.name} learns heights, but the films have masks only; it wants their corners"
            raise SettingsError(msg)
    folds = {split.fold[film.patient] for film in split.films(films, "train")}
    if len(folds) < 2:
        msg = f"{settings.split.folds} folds want at least two patients to train on, got {len(folds)}"
        raise SettingsError(msg)


@dataclass(frozen=True, slots=True, eq=False)
class _Lab:
    """All that every step needs."""

    settings: ExperimentSettings
    out: Path
    films: list[Film]
    split: Split
    films_hash: str
    tell: Callable[[str], None]

    def run(self) -> dict[str, Any]:
        """Make every result that is not there yet, and return them all."""
        segmenters = {each.name: self._segmenter(each.name) for each in self.settings.segmenters}
        chosen = self._chosen(segmenters)
        folds = [] if chosen == TRUTH else [self._fold(chosen, number) for number in self._fold_numbers()]
        sets = self._triplet_sets(chosen, folds)
        write_json(self.out / EXCLUSIONS, [asdict(each) for each in joined(list(sets.values())).left_out])
        base = fingerprint(
            self.films_hash if chosen == TRUTH else segmenters[chosen]["fingerprint"],
            [fold["fingerprint"] for fold in folds],
            dict(self.split.part),
        )
        data = self._regression_data(sets)
        systems: dict[str, dict[str, Any]] = {}
        for regressor in self.settings.regressors:
            systems[regressor.name] = {
                "seeds": [self._regressor(regressor, data, base, s) for s in self.settings.seeds]
            }
        geometry = self._geometry(data)
        leaky = self._leaky(chosen, base) if self.settings.split.leaky else None
        return {
            "segmenters": segmenters,
            "chosen": chosen,
            "folds": folds,
            "sets": {part: sets[part] for part in ("train", "validation", "test")},
            "regressors": systems,
            "with_geometry": [each.name for each in self.settings.regressors if each.targets == "residual"],
            "geometry": geometry,
            "leaky": leaky,
            "films": self.films,
            "split": self.split,
            "facts": self._facts(),
        }

    def pictures(self, raw: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the rows of figure 6: tested films, spread over their Dice."""
        tested = {film.name: film for film in self.split.films(self.films, "test")}
        shown = next(iter(raw["segmenters"])) if raw["chosen"] == TRUTH else raw["chosen"]
        pixels = raw["segmenters"][shown]["pixels"]
        order = sorted(tested, key=lambda name: (Confusion(*pixels[name]).dice or 0.0, name))
        count = min(self.settings.figure_films, len(order))
        places = [round((n + 0.5) / count * (len(order) - 1)) for n in range(count)]
        names = [order[place] for place in places]
        return [
            {
                "film": tested[name],
                "maps": {
                    each: kept_map(self.out / "segmentation" / each, name) for each in raw["segmenters"]
                },
            }
            for name in names
        ]

    def _segmenter(self, name: str) -> dict[str, Any]:
        segmenter = next(each for each in self.settings.segmenters if each.name == name)
        mark = self._segmenter_mark(name, "whole")
        return run_segmenter(
            self.out / "segmentation" / name,
            segmenter,
            settings=self.settings.segmentation,
            chance=self.settings.film_augmentation,
            train=self.split.films(self.films, "train"),
            validation=self.split.films(self.films, "validation"),
            predict=self.split.films(self.films, "test"),
            seed=self.settings.seeds[0],
            mark=mark,
            tell=self.tell,
        )

    def _segmenter_mark(self, name: str, what: str) -> str:
        segmenter = next(each for each in self.settings.segmenters if each.name == name)
        fit = segmenter.fit or self.settings.segmentation
        told = (dict(self.split.part), dict(self.split.fold), self.films_hash, self.settings.seeds[0])
        return fingerprint(segmenter.network, fit, self.settings.film_augmentation, told, what)

    def _chosen(self, segmenters: dict[str, dict[str, Any]]) -> str:
        if self.settings.masks_from != "best":
            return self.settings.masks_from
        return max(segmenters, key=lambda name: segmenters[name]["facts"]["best_score"])

    def _fold_numbers(self) -> list[int]:
        return sorted(set(self.split.fold.values()))

    def _fold(self, chosen: str, number: int) -> dict[str, Any]:
        """Train a segmenter on all films but those of a fold, and let it segment these."""
        segmenter = next(each for each in self.settings.segmenters if each.name == chosen)
        held = {patient for patient, fold in self.split.fold.items() if fold == number}
        inner = self.split.films(self.films, "train", "validation")
        return run_segmenter(
            self.out / "folds" / f"{chosen}-{number + 1}",
            segmenter,
            settings=self.settings.segmentation,
            chance=self.settings.film_augmentation,
            train=[f for f in self.split.films(self.films, "train") if f.patient not in held],
            validation=[f for f in self.split.films(self.films, "validation") if f.patient not in held],
            predict=[film for film in inner if film.patient in held],
            seed=self.settings.seeds[0],
            mark=self._segmenter_mark(chosen, f"fold {number}"),
            tell=self.tell,
        )

    def _triplet_sets(self, chosen: str, folds: list[dict[str, Any]]) -> dict[str, TripletSet]:
        """Divide each part into triplets, from predicted masks of films that the segmenter never saw."""
        sets = {}
        if chosen == TRUTH:
            for part in ("train", "validation", "test"):
                sets[part] = joined([true_triplets_of(film) for film in self.split.films(self.films, part)])
            return sets | {"train truth": TripletSet((), ())}
        place = {
            name: self.out / "folds" / f"{chosen}-{number + 1}"
            for number, fold in zip(self._fold_numbers(), folds, strict=True)
            for name in fold["pixels"]
        }
        place |= {
            film.name: self.out / "segmentation" / chosen for film in self.split.films(self.films, "test")
        }
        labelling = self.settings.labelling
        for part in ("train", "validation", "test"):
            own = self.split.films(self.films, part)
            sets[part] = joined([triplets_of(f, kept_map(place[f.name], f.name), labelling) for f in own])
        sets["train truth"] = TripletSet((), ())
        if self.settings.truth_share > 0:
            train = [true_triplets_of(film) for film in self.split.films(self.films, "train")]
            sets["train truth"] = TripletSet(joined(train).items, ())
        return sets

    def _regression_data(self, sets: dict[str, TripletSet]) -> RegressionData:
        return RegressionData(
            train=sets["train"].items,
            train_truth=sets["train truth"].items,
            validation=sets["validation"].items,
            test=sets["test"].items,
        )

    def _maker(
        self, regressor: Regressor
    ) -> Callable[[Sequence[TripletItem], Sequence[TripletItem]], TripletSource]:
        settings = self.settings
        targets = Targets.of(regressor, settings.value_scale, settings.view)

        def make(items: Sequence[TripletItem], truth: Sequence[TripletItem]) -> TripletSource:
            return TripletSource(
                items,
                targets,
                settings.triplet_augmentation,
                neighbours=regressor.neighbours,
                truth=truth,
                truth_share=settings.truth_share if truth else 0.0,
                fractured_from=settings.fractured_from_percent,
                fractured_share=settings.fractured_share,
            )

        return make

    def _regressor(
        self, regressor: Regressor, data: RegressionData, base: str, seed: int, *, folder: str = "regression"
    ) -> dict[str, Any]:
        settings = self.settings
        told = (settings.view, settings.labelling, settings.triplet_augmentation)
        numbers = (
            settings.value_scale,
            settings.fractured_share,
            settings.truth_share,
            settings.fractured_from_percent,
        )
        fit = regressor.fit or settings.regression
        return run_regressor(
            self.out / folder / regressor.name / f"seed-{seed}",
            regressor,
            data,
            self._maker(regressor),
            settings=settings.regression,
            seed=seed,
            mark=fingerprint(regressor, fit, told, numbers, base, seed, folder),
            tell=self.tell,
        )

    def _geometry(self, data: RegressionData) -> dict[str, Any]:
        """Measure by image processing, on the same masks, and on the true ones as a limit."""
        truth = joined([true_triplets_of(film) for film in self.split.films(self.films, "test")])
        out: dict[str, Any] = {}
        for name, value in ((FIGURE_FIVE, figure_five_value), (SUBPIXEL, subpixel_value)):
            for part in ("validation", "test"):
                items = getattr(data, part)
                out.setdefault(name, {})[part] = readings(items, [value(item) for item in items])
            out[name]["true masks"] = readings(truth.items, [value(item) for item in truth.items])
        return out

    def _leaky(self, chosen: str, base: str) -> dict[str, Any]:
        """Train one regressor with triplets drawn whoever they belong to, and masks of films already seen."""
        settings = self.settings
        regressor = settings.regressor(settings.leaky_regressor)
        mark = fingerprint("leaky maps", base)
        if chosen == TRUTH:
            items = joined([true_triplets_of(film) for film in self.films]).items
        else:
            items = self._seen_triplets(chosen, mark)
        data = _dealt(items, settings)
        own = fingerprint(base, settings.split.leaky_share)
        runs = [self._regressor(regressor, data, own, seed, folder=_LEAKY) for seed in settings.seeds]
        return {"name": regressor.name, "seeds": runs, "triplets": len(items)}

    def _seen_triplets(self, chosen: str, mark: str) -> tuple[TripletItem, ...]:
        """Divide all films into triplets, with masks of a segmenter that saw most of them."""
        settings, folder = self.settings, self.out / _LEAKY / "maps"
        if stored(folder, mark) is None:
            self.tell(f"leaky split: masks of {chosen} for the films that it was trained on")
            network, _ = load_network(self.out / "segmentation" / chosen / "run" / BEST)
            network = network.to(self._device())
            for film in self.split.films(self.films, "train", "validation"):
                keep_map(folder, film.name, predicted(network, film))
            write_json(folder / RESULT, {"fingerprint": mark})
        tested = {film.name for film in self.split.films(self.films, "test")}
        return joined(
            [
                triplets_of(
                    film,
                    kept_map(
                        self.out / "segmentation" / chosen if film.name in tested else folder, film.name
                    ),
                    settings.labelling,
                )
                for film in self.films
            ]
        ).items

    def _device(self) -> str:
        on_cpu = self.settings.segmentation.accelerator == "cpu" or not torch.cuda.is_available()
        return "cpu" if on_cpu else "cuda"

    def _facts(self) -> dict[str, Any]:
        # Where results lie is no part of what they are.
        told = {k: v for k, v in settings_as_dict(self.settings).items() if k not in ("out", "report")}
        return {
            "package_version": vertebrometer.__version__,
            "python": platform.python_version(),
            "torch": torch.__version__.split("+")[0],
            "machine": platform.machine(),
            "processor": processor(),
            "threads": torch.get_num_threads(),
            "gpu": torch.cuda.get_device_name(0) if torch.cuda.is_available() else None,
            "films_hash": self.films_hash,
            "settings": told,
            "settings_hash": fingerprint(told),
        }


def _dealt(items: Sequence[TripletItem], settings: ExperimentSettings) -> RegressionData:
    """Deal triplets out by chance alone, as the paper's text describes it."""
    rng = np.random.default_rng([settings.split.seed, 2])
    order = [items[int(n)] for n in rng.permutation(len(items))]
    tested = max(1, round(len(order) * settings.split.leaky_share))
    held = max(1, round((len(order) - tested) * settings.split.validation_share))
    return RegressionData(
        train=order[tested + held :],
        train_truth=(),
        validation=order[tested : tested + held],
        test=order[:tested],
    )


def read_results(out: Path) -> dict[str, Any]:
    """Return the figures that a report was made of."""
    results: dict[str, Any] = json.loads((out / "results.json").read_text(encoding="utf-8"))
    return results
