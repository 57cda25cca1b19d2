"""What the result of each film is called: short where it can be, never another film's name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

# Only endings that say what a file is are cut off: exported files are often named by numbers with dots.
_ENDINGS: Final = frozenset(
    {".dcm", ".dicom", ".dic", ".ima", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".gz"}
)

_TAKEN_BY_US: Final = frozenset({"manifest", "measurements"})

_LONGEST: Final = 150


@dataclass(frozen=True, slots=True)
class Source:
    """One film to measure."""

    path: Path
    relative: Path
    """Below the folder that was asked for; the bare name where the file itself was."""

    @property
    def key(self) -> str:
        """What the manifest knows the film by."""
        return self.path.absolute().as_posix()


def sources(films: Iterable[Path], asked: Sequence[Path]) -> list[Source]:
    """Tell for each film below which of the paths that were asked for it lies."""
    folders = sorted(
        (path for path in asked if path.is_dir()), key=lambda path: len(path.parts), reverse=True
    )
    return [Source(film, _below(film, folders)) for film in films]


def _below(film: Path, folders: Sequence[Path]) -> Path:
    for folder in folders:
        if film.is_relative_to(folder):
            # "measure ." gives bare names, "measure studies/A studies/B" must tell A from B.
            return Path(folder.resolve().name) / film.relative_to(folder)
    return Path(*film.absolute().parts[1:])


def result_names(films: Sequence[Source], given: Mapping[str, str]) -> dict[str, str]:
    """Choose a result name for each film.

    The stem where no other film has it (``IM0001``), else with as many folders
    before it as it takes (``studyA__IM0001``), else with the ending
    (``film_png`` beside ``film_dcm``), else with a number. Case does not make
    a difference, because it makes none to some file systems.

    Parameters
    ----------
    films : sequence of Source
        In a fixed order, so that names are stable.
    given : mapping
        Names of former runs by `Source.key`. A film keeps its name, and no
        film takes another's.
    """
    names = {film.key: given[film.key] for film in films if film.key in given}
    taken = {name.casefold() for name in given.values()} | _TAKEN_BY_US
    new = [film for film in films if film.key not in given]
    depth = max((len(film.relative.parts) for film in films), default=1)
    for parts in range(1, depth + 1):
        wanted = {film.key: _name(film.relative, parts) for film in films}
        count = Counter(name.casefold() for name in wanted.values())
        for film in list(new):
            name = wanted[film.key]
            if count[name.casefold()] == 1 and name.casefold() not in taken:
                names[film.key] = name
                taken.add(name.casefold())
                new.remove(film)
    for film in new:
        names[film.key] = _last_resort(film, taken)
        taken.add(names[film.key].casefold())
    return names


def _name(relative: Path, parts: int) -> str:
    stem = relative.stem if relative.suffix.lower() in _ENDINGS and relative.stem else relative.name
    return _safe("__".join([*relative.parts[:-1], stem][-parts:]))


def _last_resort(film: Source, taken: set[str]) -> str:
    whole = _safe("__".join(film.relative.parts).replace(".", "_"))
    number, name = 1, whole
    while name.casefold() in taken:
        number += 1
        name = f"{whole}__{number}"
    return name


def _safe(name: str) -> str:
    """Keep what every file system takes, and leave room for endings."""
    kept = "".join(c if c.isalnum() or c in "._- ()+=,@#" else "_" for c in name).strip(" .")
    return (kept or "film")[-_LONGEST:]
