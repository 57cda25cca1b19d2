"""Phantoms made once for all tests, on coarse pixels so that they are quick."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from vertebrometer.phantom import FIELDS, draw_phantom, phantom_of

QUICK_MM = 0.8


@pytest.fixture(scope="session")
def films():
    """One phantom of each field."""
    return {field: phantom_of(40 + n, field=field, pixel_mm=QUICK_MM) for n, field in enumerate(FIELDS)}


def plain(seed=7, *, field="lumbar", pixel_mm=0.2, size_mm=(300, 170), **bodies):
    """Settings of an untroubled film: no turn, no spurs, hardly any noise, nothing burned in."""
    drawn = draw_phantom(np.random.default_rng(seed), field=field, fracture_rate=0.0, pixel_mm=pixel_mm)
    calm = {
        "osteophytes_mm": (0.0,) * 4,
        "ripple_mm": 0.0,
        "rotation_deg": 0.0,
        "tilt_deg": 0.0,
        "slip_mm": 0.0,
        "trabecular_hu": 150.0,
        "cortex_mm": 0.8,
    } | bodies
    return replace(
        drawn,
        bodies=tuple(replace(shape, **calm) for shape in drawn.bodies),
        rods=False,
        lean_deg=0.0,
        view=replace(
            drawn.view,
            rows=round(size_mm[0] / pixel_mm),
            cols=round(size_mm[1] / pixel_mm),
            centre_mm=(0.0, 0.0),
            tilt_deg=0.0,
            anterior_left=True,
            collimation=(0.0,) * 4,
        ),
        habitus=replace(
            drawn.habitus,
            lung=0.0,
            rib_strength=0.1,
            bowel_gas=0,
            heart=0.0,
            aorta=0.0,
            arms=False,
            pelvis=0.5,
        ),
        imaging=replace(
            drawn.imaging,
            photons=1e7,
            scatter=0.1,
            blur_mm=0.12,
            unsharp=0.5,
            unsharp_mm=20.0,
            edge=0.0,
            gamma=1.0,
            window_low_pct=0.5,
            window_high_pct=99.8,
            contrast_field=0.0,
            bits=16,
            monochrome1=False,
            smear=0.0,
        ),
        marks=replace(drawn.marks, letters=0, ruler=False, grid_mm=0.0, seam_at=0.0, border_px=0),
    )
