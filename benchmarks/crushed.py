"""Real films with bodies compressed in the picture: known compressions over real bone, soft tissue and grain.

    python benchmarks/crushed.py --truth truth.json --films DIR [--only NAME...]

Every third body of each film of a truth file loses height as wedge, biconcave or crush fractures do; the rest
of the film moves after it as a whole, and the neighbouring discs take up what is uneven. The annotated
corners move with the picture, so that the compression is known as well as the annotated one is. What such a
film cannot show: impacted, denser bone, broken cortices, a spine that bends over a wedge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from variants import asked_films, films_parser, moved

from vertebrometer.anatomy import FilmTruth, SixPoints
from vertebrometer.evaluation import FilmScore, score_film
from vertebrometer.pipeline import Measurer, MeasureSettings
from vertebrometer.radiographs import Radiograph, read_radiograph
from vertebrometer.segmentation.frames import downward, pose_of
from vertebrometer.types import FloatArray, GrayImage, PointsRC

DISC = 0.22
"""Tissue above and below a body that takes up what its endplates move unevenly, in heights of the body."""
ENDPLATE = 0.05
"""Heights of the body on either side of each endplate that move as one with it: its bone keeps its thickness,
and an edge that lies a pixel or two beside the annotated corner moves as the corner does."""
MAP_STEP = 4
"""Pixels between the points whose way is computed."""
WIDEST = MeasureSettings().widest_points
"""Half width of the interval, in points, beyond which the program tells no value."""
BESIDE = 0.9
"""Depths of the body in front of and behind it over which uneven movement dies out."""
SHAPES = {"wedge": (1.0, 0.55, 0.1), "biconcave": (0.35, 1.0, 0.35), "crush": (1.0, 1.0, 0.85)}
"""Share of the loss at the front, in the middle and at the back."""


def main() -> None:
    def change(kind: str, loss: float) -> Change:
        return lambda image, truth, begin: compressed(image, truth, kind, loss, begin)

    changes = {
        f"{kind}-{round(100 * loss)}" if loss else "none": change(kind, loss) for kind, loss in CHANGES
    }
    print_table(__doc__, "changed bodies", changes)


Change = Callable[[GrayImage, FilmTruth, int], tuple[GrayImage, FilmTruth, set[str]]]
"""Changes every third place of a film, from the first, second or third on.

Returns the picture, its truth and the levels of the bodies of interest."""


def print_table(doc: str | None, them: str, changes: Mapping[str, Change]) -> None:
    """Change each film three times in each way, measure it and print a line for each way.

    Parameters
    ----------
    doc : str or None
        What the program does, for its help.
    them : str
        Head of the column that counts the bodies of interest.
    changes : mapping
        Name of each line to what is done to a film.
    """
    parser = films_parser(doc, levels="T8-L5")
    parser.add_argument("--weights", type=Path, help="folder of other weights than those shipped")
    parser.add_argument("--change", nargs="*", default=[], help="only these lines, by name")
    parser.add_argument("--save", type=Path, help="write the changed films here, to look at")
    arguments = parser.parse_args()
    first, last = arguments.levels.split("-")
    truths = asked_films(arguments)
    settings = MeasureSettings(widest_points=math.inf)
    measurer = (
        Measurer(settings) if arguments.weights is None else Measurer(settings, weights=arguments.weights)
    )
    heads = (
        "change",
        them,
        "recall of them, %",
        "recall of the others, %",
        "false per film",
        "true VC of them",
        "VC MAE of them (n)",
        "bias",
        "told (half width <= 12), %",
        "MAE of those",
        "bias",
        "held by their intervals, %",
    )
    print(f"| {' | '.join(heads)} |")
    print("|---" * len(heads) + "|")
    for title, change in changes.items():
        if arguments.change and title not in arguments.change:
            continue
        scored: list[Scored] = []
        for truth in truths:
            film = read_radiograph(arguments.films / truth.file)
            for begin in range(3):
                image, changed, levels = change(film.image, truth, begin)
                if arguments.save is not None:
                    arguments.save.mkdir(parents=True, exist_ok=True)
                    name = f"{Path(truth.file).stem}-{title.replace(', ', '-').replace(' ', '-')}-{begin}.png"
                    cv2.imwrite(str(arguments.save / name), np.round(255 * image).astype(np.uint8))
                report = measurer.measure(Radiograph(image=image, name=film.name, facts=film.facts))
                only = replace(changed, bodies=tuple(b for b in changed.bodies if b.level in levels))
                scored.append(
                    Scored(
                        levels,
                        score_film(changed, report, first=first, last=last),
                        score_film(only, report, first=first, last=last),
                    )
                )
        print(line(title, scored), flush=True)


@dataclass(frozen=True, slots=True)
class Scored:
    """One changed film."""

    levels: set[str]
    """Of the bodies of interest."""
    whole: FilmScore
    them: FilmScore
    """These bodies alone; only which of them were found is of use."""


def line(name: str, scored: Sequence[Scored]) -> str:
    """Return one line of the table; figures of values are nan where none was measured."""
    pairs = [pair for each in scored for pair in each.whole.pairs if pair.level in each.levels]
    bodies, found = (sum(getattr(each.them, key) for each in scored) for key in ("bodies", "found"))
    others, seen = (sum(getattr(each.whole, key) for each in scored) for key in ("bodies", "found"))
    false = sum(each.whole.false for each in scored) / len(scored)
    errors = np.array([pair.measured - pair.true for pair in pairs])
    half = np.array([(p.interval_90[1] - p.interval_90[0]) / 2 if p.interval_90 else math.inf for p in pairs])
    true = np.array([pair.true for pair in pairs])
    told = half <= WIDEST
    figures = (
        f"{bodies}",
        f"{100 * found / bodies:.1f}",
        f"{100 * (seen - found) / (others - bodies):.1f}",
        f"{false:.2f}",
        f"{true.mean():.1f}",
        f"{np.abs(errors).mean():.2f} ({len(errors)})",
        f"{errors.mean():+.2f}",
        f"{100 * told.mean():.0f}",
        f"{np.abs(errors[told]).mean():.2f}",
        f"{errors[told].mean():+.2f}",
        f"{100 * (np.abs(errors) <= half)[told].mean():.0f}",
    )
    return f"| {name} | {' | '.join(figures)} |"


def compressed(
    image: GrayImage, truth: FilmTruth, kind: str, loss: float, begin: int
) -> tuple[GrayImage, FilmTruth, set[str]]:
    """Compress every third body that has two neighbours; return picture, truth and levels of those bodies."""
    chosen = [n for n in range(1, len(truth.bodies) - 1) if n % 3 == begin]
    steps: list[Step] = []
    for number in chosen:
        # Other bodies lose more at the superior or at the inferior endplate.
        step = Step.of(truth.bodies[number].points, kind, loss, superior=(0.35, 0.65, 0.5)[number % 3])
        steps.append(step)
        truth = moved(truth, step.moved)
    return warped(image, steps), truth, {truth.bodies[number].level for number in chosen}


class Moving(Protocol):
    """A movement of a part of the picture."""

    def source(self, points_rc: PointsRC) -> PointsRC:
        """Where the picture at these points comes from."""
        ...


def warped(image: GrayImage, steps: Sequence[Moving]) -> GrayImage:
    """Move the picture, by the first of `steps` first."""
    # The map is smooth but for its knots, which a line through every fourth pixel meets well enough.
    coarse = [np.arange(0, side + MAP_STEP, MAP_STEP, dtype=np.float64) for side in image.shape]
    rows, cols = np.meshgrid(*coarse, indexing="ij")
    at = np.stack([rows.ravel(), cols.ravel()], axis=1)
    for step in reversed(steps):
        at = step.source(at)
    shift = (at - np.stack([rows.ravel(), cols.ravel()], axis=1)).astype(np.float32).reshape(*rows.shape, 2)
    every = np.indices(image.shape).astype(np.float32)
    shifts = cv2.remap(shift, every[1] / MAP_STEP, every[0] / MAP_STEP, cv2.INTER_LINEAR)
    maps = np.moveaxis(every, 0, -1) + shifts
    picture = cv2.remap(
        np.ascontiguousarray(image, dtype=np.float32),
        maps[..., 1],
        maps[..., 0],
        cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.clip(picture, 0, 1)


@dataclass(frozen=True, slots=True)
class Step:
    """One body's loss of height: its frame, its endplates in it, and how far they move."""

    centre_rc: PointsRC
    axes: FloatArray
    """Rows: backwards along the body, and downwards across it; shape (2, 2), as (row, col)."""
    six: PointsRC
    """The body's points in that frame: shape (6, 2), (down, back)."""
    superior: tuple[float, float, float]
    """Pixels that the superior endplate moves down: front, middle, back."""
    inferior: tuple[float, float, float]
    """Pixels that the inferior endplate moves up."""

    @classmethod
    def of(cls, points: SixPoints, kind: str, loss: float, superior: float) -> Step:
        """Let a body lose this part of its height, `superior` of it at its superior endplate."""
        pose = pose_of(points)
        axes = np.stack([pose.backward_rc, downward(pose.backward_rc)])
        six = (points.points_rc - pose.centre_rc) @ axes[::-1].T
        height = (six[3, 0] + six[5, 0] - six[0, 0] - six[2, 0]) / 2
        lost = height * loss * np.array(SHAPES[kind])
        shares = (tuple((lost * share).tolist()) for share in (superior, 1 - superior))
        return cls(pose.centre_rc, axes, six, *shares)

    def source(self, points_rc: PointsRC) -> PointsRC:
        """Where the picture at these points comes from."""
        return self._carry(points_rc, forward=False)

    def moved(self, points_rc: PointsRC) -> PointsRC:
        """Where these points of the picture go."""
        return self._carry(points_rc, forward=True)

    def _carry(self, points_rc: PointsRC, *, forward: bool) -> PointsRC:
        back, down = self.axes @ (points_rc - self.centre_rc).T
        old, new = self._knots(back)
        fro, to = (old, new) if forward else (new, old)
        out = down + to[0] - fro[0]
        for upper in range(len(fro) - 1):
            share = (down - fro[upper]) / (fro[upper + 1] - fro[upper])
            inside = (share > 0) & (share <= 1)
            out = np.where(inside, to[upper] + share * (to[upper + 1] - to[upper]), out)
        out = np.where(down > fro[-1], down + to[-1] - fro[-1], out)
        return np.asarray(self.centre_rc + np.stack([back, out], axis=1) @ self.axes)

    def _knots(self, back: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Head of the disc above, faces of the endplates, foot of the disc below: before, after, (6, n)."""
        sa, _, sp, ip, _, ia = self.six
        front, behind = (sa[1] + ia[1]) / 2, (sp[1] + ip[1]) / 2
        along = (back - front) / (behind - front)
        superior = sa[0] + np.clip(along, -0.3, 1.3) * (sp[0] - sa[0])
        inferior = ia[0] + np.clip(along, -0.3, 1.3) * (ip[0] - ia[0])
        height = float(np.mean([ia[0] - sa[0], ip[0] - sp[0]]))
        faces = np.array([-DISC, -ENDPLATE, ENDPLATE])[:, None] * height
        old = np.concatenate([superior + faces, inferior - faces[::-1]])
        falls, rises = (uneven(along, at) for at in (self.superior, self.inferior))
        whole = float(np.mean(self.superior)), float(np.mean(self.inferior))
        moves = [np.full_like(falls, whole[0]), falls, falls, -rises, -rises, np.full_like(rises, -whole[1])]
        return old, old + np.stack(moves)


def uneven(along: FloatArray, at: Sequence[float]) -> FloatArray:
    """Movement along the body: through its front, middle and back, dying out to the mean beside it."""
    front, middle, behind = at
    a = np.clip(along, -0.1, 1.1)
    curve = front * (1 - a) * (1 - 2 * a) + 4 * middle * a * (1 - a) + behind * a * (2 * a - 1)
    beside = np.clip(np.abs(along - a) / BESIDE, 0, 1)
    fades = beside * beside * (3 - 2 * beside)
    return np.asarray((1 - fades) * curve + fades * float(np.mean(at)))


CHANGES = (
    ("crush", 0.0),
    ("wedge", 0.25),
    ("wedge", 0.4),
    ("biconcave", 0.4),
    ("crush", 0.25),
    ("crush", 0.4),
)


if __name__ == "__main__":
    main()
