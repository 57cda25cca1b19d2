"""Time the whole program on one film of 2,000 x 3,000 pixels: ``python benchmarks/speed.py``.

Prints median and spread of wall time, the peak memory of the process, and how long ``--help`` takes. Modules
are compiled before, as an installation does, whatever PYTHONDONTWRITEBYTECODE says. What users wait for is
timed with a plain installation: ``.venv/demo/bin/python benchmarks/speed.py`` after ``make demo``.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from vertebrometer.phantom import phantom_of
from vertebrometer.radiographs import write_radiograph_dicom

SEED = 990_000_001


def films(left: Path, right: Path) -> None:
    """Write a whole-spine phantom of 3,000 x 2,000 pixels without a spacing, and its mirror image.

    Both are the slowest cases: at first the scale is not known, and before a film is known to face right it
    has been looked at once, at a few scales.
    """
    image = phantom_of(SEED, field="whole-spine", pixel_mm=0.3).radiograph.image
    large = np.clip(cv2.resize(image, (2000, 3000), interpolation=cv2.INTER_LINEAR), 0, 1)
    write_radiograph_dicom(left, large, uid_seed="speed", modality="CR")
    write_radiograph_dicom(right, np.ascontiguousarray(large[:, ::-1]), uid_seed="speed-r", modality="CR")


def run(compiled: Path, *arguments: str) -> tuple[float, float]:
    """Return wall seconds and peak memory in MB of one process; `compiled` keeps its modules."""
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "vertebrometer.cli", *arguments],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": str(compiled)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, _, usage = os.wait4(process.pid, 0)
    return time.perf_counter() - started, usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--times", type=int, default=7)
    times = parser.parse_args().times
    with tempfile.TemporaryDirectory() as folder:
        path, mirrored = Path(folder) / "film.dcm", Path(folder) / "mirrored.dcm"
        films(path, mirrored)
        calls = {
            "measure, one film of 2,000 x 3,000": ("measure", str(path)),
            "the same facing right": ("measure", str(mirrored)),
            "measure --out": ("measure", str(path), "--out", folder, "--again"),
            "--help": ("--help",),
        }
        compiled, results = Path(folder) / "compiled", {}
        for name, arguments in calls.items():
            run(compiled, *arguments)
            results[name] = [run(compiled, *arguments) for _ in range(times)]
    for name, rows in results.items():
        seconds, memory = (sorted(values) for values in zip(*rows, strict=True))
        print(
            f"{name}: median {statistics.median(seconds):.2f} s ({seconds[0]:.2f} to {seconds[-1]:.2f}), "
            f"peak memory {memory[-1]:.0f} MB, {os.cpu_count()} cores"
        )


if __name__ == "__main__":
    main()
