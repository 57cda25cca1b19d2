"""All films of an experiment: made, projected or read, and kept, so that no run does it again."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeAlias

from vertebrometer.config import settings_as_dict
from vertebrometer.errors import SettingsError
from vertebrometer.experiment.films import Film, film_of_truth, load_film, save_film
from vertebrometer.experiment.folder import CheckedFolder, check_folder, read_folder
from vertebrometer.experiment.settings import CtFilms, DataSettings, PhantomFilms
from vertebrometer.phantom import make_phantom, numbered_settings
from vertebrometer.radiographs import Radiograph
from vertebrometer.training.spreading import in_processes

log = logging.getLogger(__name__)

_FORM = 1
"""Raised when films are prepared in another way, so that kept ones are made anew."""


_LOT = 12
"""Films that one process makes at a time."""


def gather(
    data: DataSettings, out: Path, *, base: Path, tell: Callable[[str], None], processes: int = 1
) -> list[Film]:
    """Return all films; every table and file of a user is checked before the first film is made.

    Parameters
    ----------
    data : DataSettings
        Paths in it are relative to `base`, the folder of the settings file.
    out : Path
        Films are kept in its folder `films`.
    tell : callable
        Takes words for the reader.
    processes : int
        Processes that make films; 0 takes as many as there are CPUs.

    Raises
    ------
    VertebrometerError
        A folder, file, column or value is wrong; two films have one name.
    """
    folders = [check_folder(folder, base) for folder in data.folders]
    films: list[Film] = []
    if data.phantoms and data.phantoms.count:
        own = data.phantoms
        key: list[object] = ["phantom", own.seed, own.fields, own.fracture_rate]
        films += _kept(out, key, data, _Phantoms(data), tell=tell, processes=processes)
    for ct in data.ct:
        key = ["ct", ct.folder.as_posix(), ct.seed, ct.leave_out]
        films += _kept(out, key, data, _Projections(ct, data, base), tell=tell, processes=processes)
    for checked in folders:
        own_key: list[object] = ["folder", checked.fingerprint]
        films += _kept(out, own_key, data, _Folder(checked, data), tell=tell, processes=processes)
    names = [film.name for film in films]
    twins = {name for name in names if names.count(name) > 1}
    if twins:
        msg = f"two films are called {min(twins)!r}; rename one of them"
        raise SettingsError(msg)
    return films


class _Phantoms:
    def __init__(self, data: DataSettings) -> None:
        assert data.phantoms is not None
        self.data, self.own = data, data.phantoms
        self.count = self.own.count

    def __call__(self, number: int) -> Film:
        return phantom_film(self.own, self.data, number)

    def lots(self, numbers: Sequence[int]) -> list[Sequence[int]]:
        return _even(numbers)


def phantom_film(phantoms: PhantomFilms, data: DataSettings, number: int) -> Film:
    """Make film `number`, from 0, of a set of phantoms; it is the same however many there are."""
    settings = numbered_settings(
        phantoms.seed, number + 1, fields=phantoms.fields, fracture_rate=phantoms.fracture_rate
    )
    made = make_phantom(settings)
    name = f"phantom-{number + 1:04d}"
    return film_of_truth(made.radiograph, made.truth, data, name=name, patient=name, group="phantom")


class _Projections:
    def __init__(self, ct: CtFilms, data: DataSettings, base: Path) -> None:
        from vertebrometer.projection import load_paths, spines_in  # noqa: PLC0415 (needs nibabel)

        self.ct, self.data, self.count = ct, data, ct.films
        paths = [path for path in spines_in(base / ct.folder) if path.name not in ct.leave_out]
        if not paths:
            wanted = "NAME_ct.nii.gz with NAME_seg-vert_msk.nii.gz"
            msg = f"no CT volume with a mask lies in {ct.folder.name}; wanted {wanted}"
            raise SettingsError(msg)
        self.paths, self.load = paths, load_paths
        self.loaded: dict[int, object] = {}

    def __call__(self, number: int) -> Film:
        import numpy as np  # noqa: PLC0415

        from vertebrometer.projection import draw_projection, project  # noqa: PLC0415

        which = number % len(self.paths)
        spine = self.loaded.setdefault(which, self.loaded.get(which) or self.load(self.paths[which]))
        rng = np.random.default_rng([self.ct.seed, number])
        radiograph: Radiograph
        radiograph, truth = project(spine, draw_projection(rng, spine))  # type: ignore[arg-type]
        name = f"ct-{self.paths[which].name}-{number + 1:04d}"
        patient = f"ct-{self.paths[which].name}"
        return film_of_truth(radiograph, truth, self.data, name=name, patient=patient, group="ct")

    def lots(self, numbers: Sequence[int]) -> list[Sequence[int]]:
        # A volume takes longer to read than a film to project, so that each is read by one process.
        of_each = [[n for n in numbers if n % len(self.paths) == which] for which in range(len(self.paths))]
        return [lot for lot in of_each if lot]


class _Folder:
    def __init__(self, checked: CheckedFolder, data: DataSettings) -> None:
        self.checked, self.data, self.count = checked, data, len(checked.films)

    def __call__(self, number: int) -> Film:
        return read_folder(self.checked, number, self.data)

    def lots(self, numbers: Sequence[int]) -> list[Sequence[int]]:
        return _even(numbers)


def _even(numbers: Sequence[int]) -> list[Sequence[int]]:
    return [numbers[start : start + _LOT] for start in range(0, len(numbers), _LOT)]


_Make: TypeAlias = _Phantoms | _Projections | _Folder


def _kept(
    out: Path,
    key: list[object],
    data: DataSettings,
    make: _Make,
    *,
    tell: Callable[[str], None],
    processes: int,
) -> Iterator[Film]:
    """Yield the films of one source, from the store as far as it goes."""
    shape = {
        name: value
        for name, value in settings_as_dict(data).items()
        if name not in ("phantoms", "ct", "folders")
    }
    told = json.dumps([_FORM, *key, shape], default=list, sort_keys=True)
    code = hashlib.sha256(told.encode()).hexdigest()[:12]
    folder = out / "films" / f"{key[0]}-{code}"
    folder.mkdir(parents=True, exist_ok=True)
    missing = [n for n in range(make.count) if not _place(folder, n).exists()]
    if missing:
        tell(f"films: {len(missing)} of {make.count} from {key[0]} are made")
        lots = make.lots(missing)
        for _ in in_processes(partial(_make_lot, make, folder), lots, processes=processes):
            pass
    for number in range(make.count):
        yield load_film(_place(folder, number))


def _make_lot(make: _Make, folder: Path, lot: Sequence[int]) -> None:
    for number in lot:
        save_film(_place(folder, number), make(number))


def _place(folder: Path, number: int) -> Path:
    return folder / f"{number + 1:05d}.npz"
