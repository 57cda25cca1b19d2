"""The weights that are installed with the package, and whether they are intact."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Final

from vertebrometer.errors import UnknownNameError, WeightsError
from vertebrometer.runtime.onnx import OnnxPredictor

WEIGHTS_FOLDER: Final = Path(__file__).parent.parent / "data" / "weights"
MANIFEST: Final = "manifest.json"


class WeightState(StrEnum):
    """What `check_weights` found of one file."""

    INTACT = "intact"
    MISSING = "missing"
    DAMAGED = "damaged"
    UNLISTED = "unlisted"
    """It lies in the folder, but no checksum of it is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightCheck:
    """One weight file and its state."""

    name: str
    path: Path
    state: WeightState
    size_bytes: int
    """0 where it is missing."""


def shipped_weights(folder: Path = WEIGHTS_FOLDER) -> Mapping[str, Path]:
    """Return the shipped weight files by their names, without the suffix.

    Raises
    ------
    WeightsError
        There is no readable list of them.
    """
    return MappingProxyType({Path(file).stem: folder / file for file in _checksums(folder)})


def open_weights(name: str, *, threads: int = 0, folder: Path = WEIGHTS_FOLDER) -> OnnxPredictor:
    """Load shipped weights, checked against their checksum.

    Parameters
    ----------
    name : str
        A key of `shipped_weights()`.
    threads : int
        CPU threads for one call; 0 takes one for each core.
    """
    sums = _checksums(folder)
    file = f"{name}.onnx"
    if file not in sums:
        raise UnknownNameError(kind="weights", name=name, known=(Path(each).stem for each in sums))
    return OnnxPredictor(folder / file, threads=threads, sha256=sums[file])


def check_weights(folder: Path = WEIGHTS_FOLDER) -> list[WeightCheck]:
    """Compare every shipped file with its checksum, and name files that no checksum is known of."""
    sums = _checksums(folder)
    files = sorted(sums | {path.name: "" for path in folder.glob("*.onnx") if path.name not in sums})
    return [_check(folder / file, sums.get(file)) for file in files]


def write_manifest(folder: Path) -> Path:
    """List the checksums of all weight files in `folder`, for shipping them."""
    sums = {path.name: _sha256(path) for path in sorted(folder.glob("*.onnx"))}
    manifest = folder / MANIFEST
    manifest.write_text(json.dumps({"sha256": sums}, indent=2) + "\n", encoding="utf-8")
    return manifest


def _check(path: Path, sha256: str | None) -> WeightCheck:
    if not path.is_file():
        return WeightCheck(name=path.stem, path=path, state=WeightState.MISSING, size_bytes=0)
    if sha256 is None:
        state = WeightState.UNLISTED
    else:
        state = WeightState.INTACT if _sha256(path) == sha256 else WeightState.DAMAGED
    return WeightCheck(name=path.stem, path=path, state=state, size_bytes=path.stat().st_size)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _checksums(folder: Path) -> dict[str, str]:
    try:
        listed = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["sha256"]
        return {str(file): str(sha256) for file, sha256 in listed.items()}
    except FileNotFoundError:
        msg = "no weights are installed with vertebrometer; reinstall it"
        raise WeightsError(msg) from None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        msg = f"the list of weights, {MANIFEST}, is damaged; reinstall vertebrometer"
        raise WeightsError(msg) from error
