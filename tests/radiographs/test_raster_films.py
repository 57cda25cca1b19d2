from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image

from vertebrometer.radiographs import read_radiograph

from . import makers

GREY8 = makers.spine(bits=8)
GREY16 = makers.spine(bits=16)


@pytest.mark.parametrize(("kind", "worst"), [("PNG", 0), ("TIFF", 0), ("JPEG", 0.1)])
def test_eight_bit_grey_is_read_as_shown(tmp_path, kind, worst):
    path = tmp_path / "film"
    Image.fromarray(GREY8).save(path, kind)
    film = read_radiograph(path)
    np.testing.assert_allclose(film.image, GREY8 / 255, atol=worst + 1e-6)
    assert film.facts["format"] == kind
    assert film.spacing is None


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_kept(tmp_path, kind):
    path = tmp_path / "film"
    Image.fromarray(GREY16).save(path, kind)
    film = read_radiograph(path)
    np.testing.assert_allclose(film.image, GREY16 / 65535, atol=1e-6)
    assert film.facts["bits"] == "16"


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bit_colour_that_is_grey_is_read(tmp_path, kind):
    path = tmp_path / f"film.{kind}"
    assert cv2.imwrite(str(path), np.dstack([GREY16] * 3))
    np.testing.assert_allclose(read_radiograph(path).image, GREY16 / 65535, atol=1e-6)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits"])
def test_compressed_tiff_is_read(tmp_path, compression):
    path = tmp_path / "film"
    Image.fromarray(GREY16).save(path, "TIFF", compression=compression)
    np.testing.assert_allclose(read_radiograph(path).image, GREY16 / 65535, atol=1e-6)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_tiff_counted_from_white_is_turned(tmp_path, bits):
    grey = GREY8 if bits == 8 else GREY16
    rows, cols = grey.shape
    tags = {
        256: (4, cols), 257: (4, rows), 258: (3, bits), 259: (3, 1), 262: (3, 0), 273: (4, 122), 277: (3, 1),
        278: (4, rows), 279: (4, grey.nbytes),
    }  # fmt: skip
    top = 2**bits - 1
    path = tmp_path / "film"
    path.write_bytes(makers.tiff_by_hand(tags, (top - grey).astype(grey.dtype).tobytes()))
    np.testing.assert_allclose(read_radiograph(path).image, grey / top, atol=1e-6)


def test_colour_with_equal_channels_is_grey(tmp_path):
    path = tmp_path / "film.png"
    Image.fromarray(np.dstack([GREY8] * 3)).save(path)
    film = read_radiograph(path)
    np.testing.assert_allclose(film.image, GREY8 / 255, atol=1e-6)
    assert film.facts["grey_from_colour"] == "equal channels"


def test_a_tinted_film_with_a_coloured_letter_is_grey(tmp_path):
    tinted = np.dstack([GREY8 * 0.8, GREY8 * 0.95, GREY8 * 1.0]).astype(np.uint8)
    tinted[4:14, 4:14] = (255, 0, 0)
    path = tmp_path / "film.png"
    Image.fromarray(tinted).save(path)
    assert read_radiograph(path).facts["grey_from_colour"] == "nearly equal channels"


def test_a_blue_film_before_a_lamp_that_is_yellower_at_one_end_is_grey(tmp_path):
    rows, cols = np.mgrid[0:400, 0:300] / 400
    grey = 15 + 190 * np.sin(9 * cols) ** 2 * np.cos(7 * rows) ** 2
    blue = np.dstack([0.58 * grey, 0.75 * grey, 1.1 * grey])
    # Towards the lower end blue gives way to yellow, further than a tint alone explains.
    yellow = rows[..., None] ** 2 * np.array([22.0, 8.0, -30.0])
    path = tmp_path / "film.png"
    Image.fromarray(np.clip(blue + yellow, 0, 255).astype(np.uint8)).save(path)
    film = read_radiograph(path)
    assert film.facts["grey_from_colour"] == "nearly equal channels"
    assert np.corrcoef(film.image.ravel(), grey.ravel())[0, 1] > 0.99


def test_an_opaque_alpha_channel_does_no_harm(tmp_path):
    path = tmp_path / "film.png"
    Image.fromarray(np.dstack([GREY8, np.full_like(GREY8, 255)])).save(path)
    np.testing.assert_allclose(read_radiograph(path).image, GREY8 / 255, atol=1e-6)


def test_a_palette_of_greys_is_read(tmp_path):
    path = tmp_path / "film.png"
    picture = Image.fromarray(GREY8).convert("P")
    picture.save(path)
    np.testing.assert_allclose(read_radiograph(path).image, GREY8 / 255, atol=0.01)


def test_a_printer_resolution_is_no_pixel_spacing(tmp_path):
    path = tmp_path / "film.tif"
    Image.fromarray(GREY8).save(path, dpi=(72, 72))
    assert read_radiograph(path).spacing is None


def test_an_exif_orientation_is_noted_and_not_applied(tmp_path):
    path = tmp_path / "film.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(GREY8).save(path, exif=exif)
    film = read_radiograph(path)
    assert film.image.shape == GREY8.shape
    assert film.facts["exif_orientation"].startswith("6, not applied")


def test_twelve_bits_in_sixteen_are_stretched_and_it_is_said(tmp_path):
    path = tmp_path / "film.png"
    Image.fromarray(makers.spine(bits=12)).save(path)
    film = read_radiograph(path)
    assert film.image.max() == 1
    assert film.facts["window"].startswith("robust")
    assert "fills only" in film.facts["window_reason"]


def with_air(rows: int = 600, cols: int = 300) -> np.ndarray:
    """Draw a trunk that thins towards the skin, with noise and air on both sides."""
    r, c = np.mgrid[:rows, :cols].astype(float)
    depth = np.sqrt(np.clip(1 - ((c - cols * 0.55) / (cols * 0.3)) ** 2, 0, None))
    bodies = (np.abs(c - cols * 0.5) < cols * 0.06) & (np.mod(r, 70) < 50)
    noise = np.random.default_rng(0).normal(0, 0.005, (rows, cols))
    return np.clip(0.01 + 0.6 * depth + 0.3 * bodies + noise, 0, 1).astype(np.float32)


def test_a_negative_with_air_beside_the_patient_is_turned(tmp_path):
    usual, negative = tmp_path / "usual.png", tmp_path / "negative.png"
    codes = np.rint(with_air() * 255).astype(np.uint8)
    Image.fromarray(codes).save(usual)
    Image.fromarray(255 - codes).save(negative)
    first, second = read_radiograph(usual), read_radiograph(negative)
    np.testing.assert_allclose(first.image, second.image, atol=1e-6)
    assert second.facts["polarity"].startswith("bone-dark, found")
    assert first.facts["polarity"].startswith("bone-bright")


def test_a_white_shutter_does_not_make_a_negative(tmp_path):
    film = with_air()[:, 90:240]
    film = np.pad(film, ((30, 30), (60, 60)), constant_values=1.0)
    path = tmp_path / "film.png"
    Image.fromarray(np.rint(film * 255).astype(np.uint8)).save(path)
    assert read_radiograph(path).facts["polarity"].startswith("bone-bright")


def test_what_the_user_says_about_polarity_wins(tmp_path):
    path = tmp_path / "film.png"
    Image.fromarray(255 - np.rint(with_air() * 255).astype(np.uint8)).save(path)
    assert read_radiograph(path, polarity="bone-bright").image[:, :5].mean() > 0.9
    assert read_radiograph(path, polarity="bone-dark").image[:, :5].mean() < 0.1


def test_pixels_cannot_be_changed_behind_the_back_of_others(tmp_path):
    path = tmp_path / "film.png"
    Image.fromarray(GREY8).save(path)
    with pytest.raises(ValueError, match="read-only"):
        read_radiograph(path).image[0, 0] = 1
