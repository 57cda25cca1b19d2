from __future__ import annotations

import pytest

from vertebrometer.errors import WrongBodyPartError, WrongViewError
from vertebrometer.radiographs import SpacingSource, read_radiograph
from vertebrometer.radiographs.spacing import StatedSpacing, read_spacing
from vertebrometer.radiographs.views import Statements, refuse_other_views

from . import makers

DETECTOR, CALIBRATED = SpacingSource.DETECTOR, SpacingSource.CALIBRATED


@pytest.mark.parametrize(
    ("elements", "rc", "source"),
    [
        ({"ImagerPixelSpacing": [0.143, 0.143]}, (0.143, 0.143), DETECTOR),
        ({"PixelSpacing": [0.2, 0.2]}, (0.2, 0.2), DETECTOR),
        ({"PixelSpacing": [0.143] * 2, "ImagerPixelSpacing": [0.143, 0.143]}, (0.143, 0.143), DETECTOR),
        ({"PixelSpacing": [0.12, 0.12], "ImagerPixelSpacing": [0.143, 0.143]}, (0.12, 0.12), CALIBRATED),
        ({"PixelSpacing": [0.14] * 2, "PixelSpacingCalibrationType": "FIDUCIAL"}, (0.14, 0.14), CALIBRATED),
        ({"NominalScannedPixelSpacing": [0.17, 0.17]}, (0.17, 0.17), DETECTOR),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.143, 0.143]}, (0.143, 0.143), DETECTOR),
        ({"PixelSpacing": [0.3, 0.6]}, (0.3, 0.6), DETECTOR),
    ],
)  # fmt: skip
def test_spacing_travels_with_what_it_refers_to(tmp_path, elements, rc, source):
    film = read_radiograph(makers.save(makers.dataset(**elements), tmp_path / "film.dcm"))
    assert film.spacing is not None
    assert film.spacing.rc == pytest.approx(rc)
    assert film.spacing.source is source
    assert film.aspect == pytest.approx(rc[0] / rc[1])


@pytest.mark.parametrize("pair", [[0, 0], [-0.1, -0.1], [500, 500], [0.1, 0]])
def test_an_absurd_spacing_is_none_and_it_is_said(tmp_path, pair):
    film = read_radiograph(makers.save(makers.dataset(PixelSpacing=pair), tmp_path / "film.dcm"))
    assert film.spacing is None
    assert "no pixel's size" in film.facts["pixel_spacing_ignored"]
    assert film.pixel_rc == (1.0, 1.0)


def test_the_user_wins_over_the_file(tmp_path):
    path = makers.save(makers.dataset(PixelSpacing=[0.2, 0.2]), tmp_path / "film.dcm")
    film = read_radiograph(path, spacing_mm=(0.15, 0.3))
    assert film.spacing.rc == (0.15, 0.3)
    assert film.spacing.source is SpacingSource.USER
    assert film.aspect == 0.5


def test_the_shape_of_a_pixel_is_known_without_its_size(tmp_path):
    film = read_radiograph(makers.save(makers.dataset(PixelAspectRatio=[3, 2]), tmp_path / "film.dcm"))
    assert film.spacing is None
    assert film.pixel_rc == (1.5, 1.0)


def test_an_estimated_magnification_is_kept_and_not_applied():
    read = read_spacing(StatedSpacing(imager_mm=(0.143, 0.143), magnification=1.15))
    assert read.spacing.rc == (0.143, 0.143)
    assert read.facts["estimated_magnification"] == "1.150"


def test_spacings_that_differ_by_rounding_only_are_the_detectors():
    read = read_spacing(StatedSpacing(pixel_mm=(0.1430, 0.1430), imager_mm=(0.14304, 0.14304)))
    assert read.spacing.source is DETECTOR


def test_nonsense_in_numbers_is_not_stated(tmp_path):
    path = makers.save(
        makers.dataset(PixelSpacing=[0.2, 0.2], WindowCenter=2000, WindowWidth=3000), tmp_path / "f"
    )
    path.write_bytes(path.read_bytes().replace(b"0.2\\0.2", b"abc\\x.y").replace(b"2000", b"2o00"))
    film = read_radiograph(path)
    assert film.spacing is None
    assert film.facts["window_reason"] == "none in the file"


@pytest.mark.parametrize(
    "stated",
    [
        Statements(),
        Statements(view_position="LL"),
        Statements(view_position="RLD"),
        Statements(view_position="LAT"),
        Statements(view_position="SPECIAL"),
        Statements(orientation=("A", "F")),
        Statements(orientation=("P", "FR")),
        Statements(orientation=("L", "F"), view_position="LL"),
        Statements(view_position="AP", view_codes=(("399067008", "lateral"),)),
        Statements(view_position="AP", descriptions=("LWS seitlich",)),
        Statements(orientation=("L", "F"), descriptions=("Lumbar spine LAT",)),
        Statements(body_parts=("LSPINE", "")),
        Statements(body_parts=("CHEST",)),
        Statements(body_parts=("SPINE HIP",)),
        Statements(body_parts=("SSPINE",)),
        Statements(body_parts=("VENDORS OWN",)),
    ],
)
def test_a_film_is_not_refused_without_a_clear_statement(stated):
    assert "overruled_view" not in refuse_other_views(stated)


def test_a_plate_in_the_description_makes_no_lateral_view():
    with pytest.raises(WrongViewError):
        refuse_other_views(Statements(view_position="AP", descriptions=("PLATE", "LATITUDE")))


@pytest.mark.parametrize(
    ("elements", "error", "fact"),
    [
        ({"ViewPosition": "AP"}, WrongViewError, ("overruled_view", "frontal")),
        ({"BodyPartExamined": "HAND"}, WrongBodyPartError, ("overruled_body_part", "the hand")),
    ],
)
def test_the_user_may_overrule_view_and_body_part_and_it_is_recorded(tmp_path, elements, error, fact):
    path = makers.save(makers.dataset(**elements), tmp_path / "film.dcm")
    with pytest.raises(error):
        read_radiograph(path)
    assert read_radiograph(path, any_view=True).facts[fact[0]] == fact[1]
