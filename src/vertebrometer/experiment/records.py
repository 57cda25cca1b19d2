"""What is kept of each system: one file, written whole or not at all; the report is made of these alone."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from torch import nn

from vertebrometer.config import settings_as_dict
from vertebrometer.errors import SettingsError
from vertebrometer.experiment.settings import MACHINE_ONLY

RESULT: Final = "result.json"


def fingerprint(*parts: Any) -> str:
    """Return a short hash of settings and of what they rest on; how fast a machine runs is left out."""
    plain = json.dumps([_plain(part) for part in parts], sort_keys=True, default=str)
    return hashlib.sha256(plain.encode()).hexdigest()[:16]


def _plain(part: Any) -> Any:
    if hasattr(part, "__dataclass_fields__"):
        part = settings_as_dict(part)
    if isinstance(part, Mapping):
        return {key: _plain(value) for key, value in part.items() if key not in MACHINE_ONLY}
    if isinstance(part, (list, tuple)):
        return [_plain(each) for each in part]
    return part


def write_json(path: Path, value: Any) -> None:
    """Write a value; after a kill there is the old file, or none, or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        json.dump(value, file, indent=1, allow_nan=False, ensure_ascii=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def stored(folder: Path, mark: str) -> dict[str, Any] | None:
    """Return the result of a system that is done, or None.

    Raises
    ------
    SettingsError
        The folder holds the result of other settings.
    """
    path = folder / RESULT
    if not path.exists():
        return None
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if result["fingerprint"] != mark:
        msg = (
            f"{folder.name} was made with other settings or other films; name another `out`, or remove the "
            f"folder {folder.parent.name}/{folder.name} to make it anew"
        )
        raise SettingsError(msg)
    return result


def check_run(folder: Path, mark: str) -> None:
    """Remember what a run in this folder is of, so that it is not resumed with other settings."""
    path = folder / "fingerprint"
    if path.exists() and path.read_text(encoding="utf-8") != mark:
        msg = (
            f"the unfinished run in {folder.parent.name}/{folder.name} has other settings or other films; "
            "name another `out`, or remove that folder"
        )
        raise SettingsError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(mark, encoding="utf-8")


def weights_hash(network: nn.Module) -> str:
    """Return a short hash of all weights; files with the same weights may differ."""
    digest = hashlib.sha256()
    for name, value in sorted(network.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def log_rows(path: Path) -> list[dict[str, float]]:
    """Return the rows of a training log as numbers."""
    if not path.exists():
        return []
    with path.open(encoding="utf-8", newline="") as file:
        return [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(file)]


def processor() -> str:
    """Return the name of the processor."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or "unknown"
    names = [line.split(":", 1)[1].strip() for line in text.splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
