"""What the error on phantoms is made of: the same spines, each time with one hindrance taken away.

    python benchmarks/causes.py [--films 30] [--seed 77]

Measures phantoms as they are, with everything that chance draws over the same spine drawn anew (gas, texture,
noise, where letters stand), and without letters and rulers, ribs and gas, poor exposure, spurs and tilt, one
after the other and all together. Prints for each the error over the bodies that every version measures, and
how it goes with the error of the film as it is: 1 the same bodies err by the same, 0 others do.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from vertebrometer.evaluation import score_film
from vertebrometer.phantom import PhantomSettings, make_phantom, numbered_settings
from vertebrometer.pipeline import Measurer, MeasureSettings

Change = Callable[[PhantomSettings], PhantomSettings]


def as_it_is(settings: PhantomSettings) -> PhantomSettings:
    """Leave the film alone."""
    return settings


def drawn_anew(settings: PhantomSettings) -> PhantomSettings:
    """Draw again all that lies over the same spine in the same view."""
    return replace(settings, texture_seed=settings.texture_seed + 1)


def well_exposed(settings: PhantomSettings) -> PhantomSettings:
    """Give it hardly any noise, blur or scatter, and a usual window."""
    return replace(
        settings,
        imaging=replace(
            settings.imaging,
            photons=2e5,
            smear=0.0,
            blur_mm=0.12,
            scatter=0.1,
            contrast_field=0.0,
            unsharp=0.5,
            edge=0.3,
            gamma=1.0,
            window_low_pct=0.5,
            window_high_pct=99.8,
        ),
    )


def without_noise(settings: PhantomSettings) -> PhantomSettings:
    """Take away noise and the traces of lossy storage alone."""
    return replace(settings, imaging=replace(settings.imaging, photons=2e5, smear=0.0))


def nothing_over(settings: PhantomSettings) -> PhantomSettings:
    """Take away ribs, gas, shoulders, pelvis, heart, aorta and arms."""
    bare = replace(
        settings.habitus,
        rib_strength=0.0,
        bowel_gas=0,
        shoulder=0.0,
        pelvis=0.0,
        heart=0.0,
        aorta=0.0,
        arms=False,
    )
    return replace(settings, habitus=bare)


def unmarked(settings: PhantomSettings) -> PhantomSettings:
    """Take away letters, ruler, grid and seam."""
    return replace(settings, marks=replace(settings.marks, letters=0, ruler=False, grid_mm=0.0, seam_at=0.0))


def upright(settings: PhantomSettings) -> PhantomSettings:
    """Let no body be turned or tilted out of the plane: no double contours."""
    bodies = tuple(replace(body, rotation_deg=0.0, tilt_deg=0.0) for body in settings.bodies)
    return replace(settings, bodies=bodies)


def plain(settings: PhantomSettings) -> PhantomSettings:
    """Give bodies neither spurs nor uneven endplates."""
    bodies = tuple(
        replace(body, ripple_mm=0.0, osteophytes_mm=(0.0, 0.0, 0.0, 0.0)) for body in settings.bodies
    )
    return replace(settings, bodies=bodies)


def all_of_it(settings: PhantomSettings) -> PhantomSettings:
    """Take all hindrances away."""
    return nothing_over(unmarked(plain(upright(well_exposed(settings)))))


CHANGES: dict[str, Change] = {
    "as it is": as_it_is,
    "drawn anew": drawn_anew,
    "no letters, rulers, seams": unmarked,
    "no ribs, gas, shoulders": nothing_over,
    "no noise": without_noise,
    "no noise, blur, scatter": well_exposed,
    "no tilt or rotation": upright,
    "no spurs, smooth endplates": plain,
    "none of these": all_of_it,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--films", type=int, default=30)
    parser.add_argument("--seed", type=int, default=77, help="of the set of phantoms; none was trained on")
    arguments = parser.parse_args()
    # Every value counts here, also those that would be too unsure to tell.
    measurer = Measurer(MeasureSettings(widest_points=math.inf))
    errors: dict[str, dict[tuple[int, str], float]] = {name: {} for name in CHANGES}
    for number in range(arguments.films):
        settings = numbered_settings(arguments.seed, number)
        for name, change in CHANGES.items():
            phantom = make_phantom(change(settings))
            report = measurer.measure(phantom.radiograph)
            for pair in score_film(phantom.truth, report, first="T1", last="L6").pairs:
                errors[name][number, pair.level] = pair.measured - pair.true
    common = sorted(set.intersection(*(set(known) for known in errors.values())))
    print(
        f"{arguments.films} phantoms of seed {arguments.seed}, {len(common)} bodies measured on every version"
    )
    print("| film | bodies measured | VC MAE | RMSE | largest | goes with the error as it is |")
    print("|---|---|---|---|---|---|")
    own = np.array([errors["as it is"][key] for key in common])
    for name, known in errors.items():
        error = np.array([known[key] for key in common])
        figures = (
            f"{np.abs(error).mean():.2f}",
            f"{np.sqrt((error**2).mean()):.2f}",
            f"{np.abs(error).max():.1f}",
            f"{np.corrcoef(own, error)[0, 1]:.2f}",
        )
        print(f"| {name} | {len(known)} | {' | '.join(figures)} |")


if __name__ == "__main__":
    main()
