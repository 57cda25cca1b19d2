"""What a run leaves for a reader: a CSV row for each epoch, TensorBoard, and facts about the machine."""

from __future__ import annotations

import csv
import io
import json
import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import torch

import vertebrometer
from vertebrometer.config import settings_as_dict
from vertebrometer.training.settings import TrainingSettings

LOG: Final = "log.csv"


class RunLog:
    """The log of a run; made anew over an old one it drops what a resumed run does again."""

    def __init__(self, folder: Path, *, from_step: int) -> None:
        self._path = folder / LOG
        self._rows = [row for row in _read_rows(self._path) if int(row["step"]) <= from_step]
        self._board = _tensorboard(folder, from_step)

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Write one row; a number that is new makes a new column."""
        row = {"step": str(step)} | {name: f"{value:.6g}" for name, value in values.items()}
        self._rows.append(row)
        columns = list(dict.fromkeys(name for each in self._rows for name in each))
        text = io.StringIO()
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._rows)
        part = self._path.with_name(f".{self._path.name}.part")
        part.write_text(text.getvalue(), encoding="utf-8")
        part.replace(self._path)
        if self._board is not None:
            for name, value in values.items():
                self._board.add_scalar(name, value, step)
            self._board.flush()

    def close(self) -> None:
        """Finish writing."""
        if self._board is not None:
            self._board.close()


def write_facts(folder: Path, settings: TrainingSettings, *, device: str, parameters: int) -> None:
    """Write `run.json`: settings, versions and the machine; no user or host name."""
    facts = {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "package_version": vertebrometer.__version__,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "machine": platform.machine(),
        "device": device,
        "parameters": parameters,
        "settings": settings_as_dict(settings),
    }
    (folder / "run.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _read_rows(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: value for name, value in row.items() if value} for row in csv.DictReader(file)]


def _tensorboard(folder: Path, from_step: int) -> Any:
    try:
        writer = import_module("torch.utils.tensorboard").SummaryWriter
    except ImportError:  # A run without TensorBoard still has its CSV.
        return None
    return writer(folder / "tensorboard", purge_step=from_step + 1)
