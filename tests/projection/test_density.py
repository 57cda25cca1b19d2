import numpy as np
import pytest

from vertebrometer.errors import UnreadableFileError
from vertebrometer.projection import (
    BoneDensity,
    load_spine,
    read_surface,
    read_surfaces_csv,
    spine_of_surfaces,
)
from vertebrometer.projection.surfaces import filled

_CUBE = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
_FACES = np.array(
    [
        [0, 1, 3],
        [0, 3, 2],
        [4, 6, 7],
        [4, 7, 5],
        [0, 4, 5],
        [0, 5, 1],
        [2, 3, 7],
        [2, 7, 6],
        [0, 2, 6],
        [0, 6, 4],
        [1, 5, 7],
        [1, 7, 3],
    ]
)


def test_a_box_is_filled_to_its_volume():
    inside = filled(_CUBE * [20, 12, 8] + 5.3, _FACES, (40, 30, 30))
    assert inside.sum() == 20 * 12 * 8


def test_a_hole_in_the_surface_is_closed_by_the_other_two_axes():
    inside = filled(_CUBE * [20, 12, 8] + 5.3, _FACES[1:], (40, 30, 30))
    assert inside.sum() == pytest.approx(20 * 12 * 8, rel=0.02)


def test_a_mask_without_ct_gets_bone_of_the_assumed_density(box_paths):
    spine = load_spine(None, box_paths[1], density=BoneDensity(trabecular_hu=200.0, texture_hu=0.0))
    inner = spine.hu[30:36, 40:56, 16:24]
    assert not spine.scanned
    assert float(inner.mean()) == pytest.approx(200, abs=15)
    assert spine.hu[20, 40:56, 16:24].mean() > 300
    assert abs(float(spine.hu[5:12, 5:20].mean())) < 100


def test_surfaces_in_anterior_left_superior_axes_become_a_spine():
    surfaces = {
        level: (_CUBE * [34.0, 44.0, 26.0] + [0, 0, -36.0 * number], _FACES)
        for number, level in enumerate(("L3", "L4"))
    }
    spine = spine_of_surfaces("boxes", surfaces)
    assert [body.level for body in spine.bodies] == ["L3", "L4"]
    assert spine.bodies[0].depth_mm == pytest.approx(34, abs=1.5)


def test_a_surface_file_is_read_and_a_file_without_triangles_refused(tmp_path):
    path = tmp_path / "a.obj"
    lines = [f"v {x} {y} {z}" for x, y, z in _CUBE] + [f"f {a}//1 {b}//1 {c}//1" for a, b, c in _FACES + 1]
    path.write_text("\n".join(lines))
    vertices, faces = read_surface(path)
    assert np.array_equal(vertices, _CUBE)
    assert np.array_equal(faces, _FACES)
    path.write_text("v 0 0 0")
    with pytest.raises(UnreadableFileError, match="no triangles"):
        read_surface(path)


def test_surfaces_of_one_table_are_told_apart_and_named_from_the_top(tmp_path):
    points = np.vstack([_CUBE, _CUBE + np.array([0, 0, 5])])
    np.savetxt(tmp_path / "v.csv", points, delimiter=",")
    np.savetxt(tmp_path / "f.csv", np.vstack([_FACES, _FACES + 8]) + 1, delimiter=",", fmt="%d")
    surfaces = read_surfaces_csv(tmp_path / "v.csv", tmp_path / "f.csv", ["L1", "L2"])
    assert surfaces["L1"][0][np.unique(surfaces["L1"][1]), 2].min() == 5
    with pytest.raises(UnreadableFileError, match="2 surfaces"):
        read_surfaces_csv(tmp_path / "v.csv", tmp_path / "f.csv", ["L1"])
