"""Films of real bone with exact truth: CT, masks and surfaces, crushed in 3-D and projected.

At least one CT must be kept out of all training, or the bench says nothing;
which one is the caller's choice.
"""

from vertebrometer.projection.bodies import BodySection
from vertebrometer.projection.deform import Crush
from vertebrometer.projection.density import BoneDensity
from vertebrometer.projection.films import projected_films
from vertebrometer.projection.frontal import seen_from_the_front
from vertebrometer.projection.projector import project
from vertebrometer.projection.settings import (
    PROJECTION_EDITION,
    ProjectionSettings,
    draw_crush,
    draw_projection,
)
from vertebrometer.projection.spine import SpineVolume, load_paths, load_spine, spine_of_surfaces
from vertebrometer.projection.surfaces import read_surface, read_surfaces_csv
from vertebrometer.projection.volumes import SpinePaths, spines_in

__all__ = [
    "PROJECTION_EDITION",
    "BodySection",
    "BoneDensity",
    "Crush",
    "ProjectionSettings",
    "SpinePaths",
    "SpineVolume",
    "draw_crush",
    "draw_projection",
    "load_paths",
    "load_spine",
    "project",
    "projected_films",
    "read_surface",
    "read_surfaces_csv",
    "seen_from_the_front",
    "spine_of_surfaces",
    "spines_in",
]
