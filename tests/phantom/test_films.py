"""Facts about phantom films: truth where the picture says so, mirrored alike, the same everywhere."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from scipy import ndimage

from tests.phantom.conftest import QUICK_MM, plain
from vertebrometer.anatomy import Facing, is_just_above
from vertebrometer.errors import UnknownNameError
from vertebrometer.morphometry import heights
from vertebrometer.phantom import (
    FIELDS,
    Fracture,
    draw_phantom,
    fractured,
    make_phantom,
    mirrored,
    numbered_settings,
    phantom_of,
    truth_of,
)
from vertebrometer.phantom.writing import true_compressions
from vertebrometer.radiographs import SpacingSource


def fingerprint(phantom):
    import hashlib

    points = [body.points.points_rc for body in phantom.truth.bodies]
    return hashlib.sha256(phantom.radiograph.image.tobytes() + np.vstack(points).tobytes()).hexdigest()


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_shows_bodies_in_order(films, field):
    phantom = films[field]
    levels = [body.level for body in phantom.truth.bodies]
    assert sum(body.whole for body in phantom.truth.bodies) >= 6
    assert all(is_just_above(*pair) for pair in pairwise(levels))
    image = phantom.radiograph.image
    assert image.shape == phantom.truth.shape
    assert image.min() >= 0
    assert image.max() <= 1
    assert image.std() > 0.05
    assert phantom.radiograph.facts["field"] == field


@pytest.mark.parametrize("field", FIELDS)
def test_bodies_are_whole_where_their_outline_lies_in_view(films, field):
    truth = films[field].truth
    for body in truth.bodies:
        inside = ((body.contour_rc > -0.5) & (body.contour_rc < np.array(truth.shape) - 0.5)).all()
        assert inside or not body.whole


def test_a_body_under_the_shutter_or_the_frame_is_not_whole():
    settings = plain(pixel_mm=QUICK_MM)
    clear = truth_of(settings)
    first = next(n for n, body in enumerate(clear.bodies) if body.whole)
    row = clear.bodies[first].contour_rc[:, 0].mean()
    shut = replace(settings, view=replace(settings.view, collimation=(row / clear.shape[0], 0, 0, 0)))
    levels = {body.level: body.whole for body in truth_of(shut).bodies}
    assert not levels.get(clear.bodies[first].level, False)
    wide = plain(pixel_mm=QUICK_MM, size_mm=(300, 60))
    framed = replace(wide, marks=replace(wide.marks, border_px=3))
    ends = [body.points.points_rc[:, 1] for body in truth_of(framed).bodies if body.whole]
    assert all(cols.min() >= 3 and cols.max() <= truth_of(framed).shape[1] - 4 for cols in ends)


def test_the_label_map_numbers_the_bodies_from_the_top(films):
    phantom = films["lumbar"]
    labels = phantom.labels()
    for number, body in enumerate(phantom.truth.bodies, 1):
        if body.whole:
            r, c = np.round(body.points.centre_rc).astype(int)
            assert labels[r, c] == number


def test_the_same_seed_gives_the_same_film_in_another_process():
    code = (
        "from tests.phantom.test_films import fingerprint; from vertebrometer.phantom import phantom_of;"
        "print(fingerprint(phantom_of(3, field='dxa', pixel_mm=0.8)))"
    )
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == fingerprint(phantom_of(3, field="dxa", pixel_mm=0.8))


def test_another_seed_gives_another_film():
    assert fingerprint(phantom_of(3, field="dxa", pixel_mm=1.0)) != fingerprint(
        phantom_of(4, field="dxa", pixel_mm=1.0)
    )


def test_a_film_that_faces_right_is_the_mirror_image_with_the_mirrored_truth():
    left = plain(pixel_mm=QUICK_MM)
    left = replace(left, view=replace(left.view, collimation=(0.05, 0.0, 0.1, 0.1)))
    right = replace(left, view=replace(left.view, anterior_left=False))
    one, other = make_phantom(left), make_phantom(right)
    assert np.array_equal(one.radiograph.image, other.radiograph.image[:, ::-1])
    assert (one.truth.facing, other.truth.facing) == (Facing.LEFT, Facing.RIGHT)
    for body, turned in zip(mirrored(one.truth).bodies, other.truth.bodies, strict=True):
        assert np.array_equal(body.points.points_rc, turned.points.points_rc)
        assert np.array_equal(body.contour_rc, turned.contour_rc)


def test_mirroring_twice_changes_nothing(films):
    truth = films["whole-spine"].truth
    for body, again in zip(truth.bodies, mirrored(mirrored(truth)).bodies, strict=True):
        assert again.points.points_rc == pytest.approx(body.points.points_rc, abs=1e-9)


def test_the_front_is_on_the_side_that_the_film_faces(films):
    for phantom in films.values():
        for body in phantom.truth.bodies:
            ahead = body.points.point("superior_anterior")[1] - body.points.point("superior_posterior")[1]
            assert ahead > 0 if phantom.truth.facing is Facing.RIGHT else ahead < 0


@pytest.mark.parametrize("loss", [0.0, 0.2, 0.4, 0.6])
def test_a_wedge_drawn_gives_its_compression_by_equation_1(loss):
    settings = plain(pixel_mm=QUICK_MM)
    names = [shape.level for shape in settings.bodies]
    place = names.index("L2")
    level = settings.bodies[place - 1]
    bodies = list(settings.bodies)
    for n in (place - 1, place, place + 1):
        bodies[n] = replace(level, level=names[n], superior_depth_mm=32.0, inferior_depth_mm=32.0)
    bodies[place] = fractured(bodies[place], Fracture("wedge", loss, posterior_share=0.0))
    bodies[place] = replace(bodies[place], superior_depth_mm=32.0, inferior_depth_mm=32.0)
    truth = truth_of(replace(settings, bodies=tuple(bodies)))
    whole = [body for body in truth.bodies if body.whole]
    found = dict(zip((body.level for body in whole), true_compressions(truth), strict=True))
    assert found["L2"] == pytest.approx(100 * loss, abs=1e-6)
    assert found[whole[0].level] is None


def test_true_heights_on_the_film_are_those_of_the_shapes():
    settings = plain(pixel_mm=0.31)
    shapes = {shape.level: shape for shape in settings.bodies}
    for body in truth_of(settings).bodies:
        shape = shapes[body.level]
        assert heights(body.points).middle_px * 0.31 == pytest.approx(shape.middle_mm)


def test_pixels_are_of_published_sizes_and_calibrated():
    sizes = {field: [] for field in FIELDS}
    for n in range(400):
        view = draw_phantom(np.random.default_rng([n, 9])).view
        sizes[view.field].append(view.pixel_mm)
        assert view.rows * view.cols < 80_000_000
    for field, low, high in (("lumbar", 0.10, 0.40), ("whole-spine", 0.14, 0.40), ("dxa", 0.15, 0.60)):
        assert low <= min(sizes[field]) < 1.35 * low
        assert 0.85 * high < max(sizes[field]) <= high


def test_the_spacing_travels_with_the_film(films):
    spacing = films["thoracic"].radiograph.spacing
    assert spacing.rc == (QUICK_MM, QUICK_MM)
    assert spacing.source is SpacingSource.CALIBRATED


def test_both_facings_polarities_and_all_bit_depths_are_drawn():
    drawn = [draw_phantom(np.random.default_rng([n, 2])) for n in range(120)]
    assert {s.imaging.monochrome1 for s in drawn} == {True, False}
    assert {s.view.anterior_left for s in drawn} == {True, False}
    assert {s.imaging.bits for s in drawn} == {8, 10, 12, 14, 16}
    assert any(s.rods for s in drawn)
    assert any(body.implant == "cement" for s in drawn for body in s.bodies)


def test_films_of_a_set_are_never_those_of_a_bare_seed():
    bare = {draw_phantom(np.random.default_rng(n)).texture_seed for n in range(40)}
    bare |= {draw_phantom(np.random.default_rng([s, n])).texture_seed for s in range(4) for n in range(10)}
    in_sets = {numbered_settings(seed, n).texture_seed for seed in range(4) for n in range(10)}
    assert len(in_sets) == 40
    assert not in_sets & bare


def test_all_fields_by_name_are_all_fields():
    assert numbered_settings(1, 2, fields=tuple(FIELDS)) == numbered_settings(1, 2)
    assert {numbered_settings(1, n, fields=("dxa",)).view.field for n in range(5)} == {"dxa"}
    for rate in (0.0, 1.0):
        spines = [numbered_settings(1, n, fracture_rate=rate).bodies for n in range(8)]
        assert {any(body.fracture != "none" for body in bodies) for bodies in spines} == {rate == 1.0}
    with pytest.raises(UnknownNameError, match="whole-spine"):
        numbered_settings(1, 1, fields=("knee",))
    with pytest.raises(UnknownNameError, match="whole-spine"):
        phantom_of(1, field="knee")


# Picture and truth. On an untroubled film the endplate is where the truth says it is.


def parallel(settings):
    """The same film by rays that do not diverge, so that both sides of a body cast one contour."""
    return replace(settings, view=replace(settings.view, source_distance_mm=1e6))


def flat(settings):
    """The same spine with level endplates, whose rim and middle fall together."""
    return replace(
        settings,
        bodies=tuple(replace(b, middle_mm=(b.anterior_mm + b.posterior_mm) / 2) for b in settings.bodies),
    )


@pytest.fixture(scope="module")
def crisp():
    return make_phantom(parallel(flat(plain(pixel_mm=0.2))))


def inward_profile(phantom, body, at, reach_mm=3.0):
    """Mean grey along the normals of one endplate, and the distances inwards from the truth in mm."""
    pixel = phantom.radiograph.spacing.row_mm
    sa, sm, sp, ip, im, ia = body.points.points_rc
    (front, back), middle, opposite = ((sa, sp), sm, im) if at == "superior" else ((ia, ip), im, sm)
    along = (back - front) / np.linalg.norm(back - front)
    inward = np.array([along[1], -along[0]])
    inward *= np.sign(inward @ (opposite - middle))
    steps = np.arange(-reach_mm, reach_mm, 0.05)
    lines = [
        ndimage.map_coordinates(
            phantom.radiograph.image, (middle + shift * along + inward * steps[:, None] / pixel).T, order=1
        )
        for shift in np.arange(-4, 5)
    ]
    return steps, ndimage.gaussian_filter1d(np.mean(lines, axis=0), 3)


def steepest_mm(phantom, body, at):
    steps, grey = inward_profile(phantom, body, at)
    return float(steps[np.argmax(np.gradient(grey))])


def bright_line_mm(phantom, body, at):
    steps, grey = inward_profile(phantom, body, at)
    return float(steps[np.argmax(grey - ndimage.gaussian_filter1d(grey, 30))])


@pytest.mark.parametrize("at", ["superior", "inferior"])
def test_grey_rises_into_the_body_where_the_true_endplate_is(crisp, at):
    whole = [body for body in crisp.truth.bodies if body.whole]
    assert len(whole) >= 7
    assert max(abs(steepest_mm(crisp, body, at)) for body in whole) < 0.2


@pytest.mark.parametrize("at", ["superior", "inferior"])
def test_the_bright_line_of_a_concave_endplate_runs_through_the_true_middle(at):
    phantom = make_phantom(parallel(plain(pixel_mm=0.2)))
    whole = [body for body in phantom.truth.bodies if body.whole]
    lines = [bright_line_mm(phantom, body, at) for body in whole]
    # Half the cortex lies inside the outline, so the line is a little inside.
    assert min(lines) > -0.1
    assert max(lines) < 0.5


@pytest.mark.parametrize("at", ["superior", "inferior"])
def test_under_the_central_ray_a_divergent_beam_keeps_the_endplate_in_place(at):
    phantom = make_phantom(flat(plain(pixel_mm=0.2)))
    middle = (phantom.truth.shape[0] - 1) / 2
    near = min(
        (body for body in phantom.truth.bodies if body.whole),
        key=lambda body: abs(body.points.point(f"{at}_middle")[0] - middle),
    )
    assert abs(steepest_mm(phantom, near, at)) < 0.5


def test_far_from_the_central_ray_endplates_are_doubled():
    parted = make_phantom(flat(plain(pixel_mm=0.2)))
    joined = make_phantom(parallel(flat(plain(pixel_mm=0.2))))

    def steepness(phantom):
        body = [body for body in phantom.truth.bodies if body.whole][-1]
        return np.gradient(inward_profile(phantom, body, "inferior")[1]).max()

    assert steepness(parted) < 0.7 * steepness(joined)


@pytest.mark.parametrize("at", ["superior", "inferior"])
def test_a_body_is_brighter_than_the_disc_next_to_it(crisp, at):
    for body in (body for body in crisp.truth.bodies if body.whole):
        steps, grey = inward_profile(crisp, body, at)
        assert (
            grey[(steps > 1.5) & (steps < 2.5)].mean() > grey[(steps > -2.0) & (steps < -1.0)].mean() + 0.01
        )
