"""Make the example films again: ``python examples/make_films.py``.

Three phantoms with fractures, stored losslessly (JPEG-LS), with their truth. They are
synthetic: no patient was ever filmed.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import pydicom
from pydicom.uid import JPEGLSLossless

from vertebrometer.phantom import write_phantoms

FILMS = Path(__file__).parent / "films"
SEED = 210
FIELDS = ("lumbar", "thoracolumbar", "dxa")


def main() -> None:
    FILMS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        made = write_phantoms(3, SEED, Path(folder), FIELDS)
        for path in made:
            film = pydicom.dcmread(path)
            film.compress(JPEGLSLossless, generate_instance_uid=False)
            film.save_as(FILMS / path.name)
        (FILMS / "truth.json").write_bytes((Path(folder) / "truth.json").read_bytes())


if __name__ == "__main__":
    main()
