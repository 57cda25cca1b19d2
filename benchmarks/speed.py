"""Time the whole program on one film of 3,000 x 2,000 pixels: ``python benchmarks/speed.py``.

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
from vertebrometer.radiographs import PixelSpacing, SpacingSource, write_radiograph_dicom

SEED = 990_000_001
ROWS, COLS = 3000, 2000


def films(folder: Path) -> dict[str, Path]:
    """Write a whole-spine phantom of 3,000 x 2,000 pixels as four files; return what is timed, by name.

    With a spacing, as hospitals store films; without, so that the scale is looked for; that one's mirror
    image, which is looked at once before it is turned round; and, without a spacing, squashed to four fifths,
    so that it is measured again with its proportions restored.
    """
    drawn = phantom_of(SEED, field="whole-spine", pixel_mm=0.3).radiograph.image
    pixel_mm = 0.3 * drawn.shape[0] / ROWS
    wide = round(drawn.shape[1] * ROWS / drawn.shape[0])
    film = np.clip(cv2.resize(drawn, (wide, ROWS), interpolation=cv2.INTER_LINEAR), 0, 1)
    # Drawn larger to the full width it would be squashed: its outermost columns go on instead.
    left = (COLS - wide) // 2
    film = np.pad(film, ((0, 0), (left, COLS - wide - left)), mode="edge")
    flat = np.clip(cv2.resize(film, (COLS, ROWS * 4 // 5), interpolation=cv2.INTER_AREA), 0, 1)
    spacing = PixelSpacing(pixel_mm, pixel_mm, SpacingSource.DETECTOR)
    made = {
        "with a spacing": (film, spacing),
        "without": (film, None),
        "without, facing right": (np.ascontiguousarray(film[:, ::-1]), None),
        "without, squashed to 2,000 x 2,400": (flat, None),
    }
    paths = {}
    for n, (name, (image, stated)) in enumerate(made.items()):
        paths[name] = folder / f"film-{n}.dcm"
        write_radiograph_dicom(paths[name], image, spacing=stated, uid_seed=name, modality="CR")
    return paths


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
        paths = films(Path(folder))
        calls = {f"measure, {name}": ("measure", str(path)) for name, path in paths.items()}
        usual = str(paths["with a spacing"])
        calls["measure --out, with a spacing"] = ("measure", usual, "--out", folder, "--again")
        calls["--help"] = ("--help",)
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
