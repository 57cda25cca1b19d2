import numpy as np
import pytest

from tests.projection.conftest import box_spine, write_as_verse
from vertebrometer.errors import UnreadableFileError
from vertebrometer.projection import load_spine, spines_in
from vertebrometer.projection.volumes import TOTAL_CODES, VERSE_CODES, SpinePaths, read_volume


def test_level_codes_name_the_levels_of_both_conventions():
    assert [VERSE_CODES[n] for n in (8, 19, 20, 24, 25, 28)] == ["T1", "T12", "L1", "L5", "L6", "T13"]
    assert [TOTAL_CODES[n] for n in (26, 27, 31, 32, 33, 44)] == ["S1", "L5", "L1", "T12", "T11", "C7"]


def test_axes_follow_the_header_and_not_the_order_of_storage(box_paths):
    volume = read_volume(SpinePaths("box", box_paths[1], ct=box_paths[0]))
    hu, codes = box_spine()
    assert volume.spacing_mm == (1.0, 1.0, 2.0)
    assert np.array_equal(volume.codes > 0, codes > 0)
    assert np.array_equal(volume.hu, hu)


def test_pairs_are_found_however_deep_and_in_both_layouts_of_verse(tmp_path):
    hu, codes = box_spine()
    write_as_verse(tmp_path / "one" / "sub-a", hu, codes, "sub-a")
    ct, mask = write_as_verse(tmp_path / "rawdata" / "sub-b", hu, codes, "sub-b")
    (tmp_path / "derivatives").mkdir()
    mask.rename(tmp_path / "derivatives" / mask.name)
    write_as_verse(tmp_path / "c", hu, codes, "sub-c")[0].unlink()
    found = {paths.name: paths for paths in spines_in(tmp_path)}
    assert list(found) == ["sub-a", "sub-b", "sub-c"]
    assert found["sub-b"].ct == ct
    assert found["sub-c"].ct is None


def test_a_coarse_scan_is_resampled_in_the_sagittal_plane_only(tmp_path):
    _, codes = box_spine()
    import nibabel

    path = tmp_path / "x_seg-vert_msk.nii.gz"
    stored = np.ascontiguousarray(codes[::-1, :, ::-1].transpose(2, 1, 0))
    nibabel.save(nibabel.Nifti1Image(stored, np.diag([-2.0, -2.0, 2.0, 1.0])), path)
    volume = read_volume(SpinePaths("x", path))
    assert volume.codes.shape == (codes.shape[0] * 2, codes.shape[1] * 2, codes.shape[2])
    assert volume.spacing_mm == (1.0, 1.0, 2.0)


def test_padding_with_air_becomes_soft_tissue(tmp_path):
    hu, codes = box_spine()
    hu[:, :10] = -1024
    paths = write_as_verse(tmp_path, hu, codes)
    assert load_spine(*paths).hu.min() > -100


def test_a_damaged_file_is_refused(tmp_path):
    path = tmp_path / "sub-x_seg-vert_msk.nii.gz"
    path.write_bytes(b"no volume")
    with pytest.raises(UnreadableFileError, match="sub-x"):
        load_spine(None, path)


def test_a_mask_on_another_grid_is_refused(tmp_path):
    hu, codes = box_spine()
    ct, mask = write_as_verse(tmp_path, hu[:-5], codes)
    with pytest.raises(UnreadableFileError, match="one grid"):
        load_spine(ct, mask)


def test_an_empty_mask_is_refused(tmp_path):
    hu, codes = box_spine()
    with pytest.raises(UnreadableFileError, match="names no vertebra"):
        load_spine(*write_as_verse(tmp_path, hu, np.zeros_like(codes)))
