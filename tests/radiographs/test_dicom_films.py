from __future__ import annotations

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.encaps import get_frame
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGExtended12Bit,
)

from vertebrometer.radiographs import read_radiograph
from vertebrometer.radiographs.grey import StoredFilm, ToneCurve, Window, WindowShape, develop

from . import makers

FULL = {"WindowCenter": 2048, "WindowWidth": 4096}


@pytest.mark.parametrize(
    "syntax",
    [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
def test_every_plain_transfer_syntax_gives_the_same_film(tmp_path, syntax):
    ds = makers.dataset(**FULL)
    if syntax == ExplicitVRBigEndian:
        ds.PixelData = makers.spine().byteswap().tobytes()
    film = read_radiograph(makers.save(ds, tmp_path / "film", syntax))
    np.testing.assert_allclose(film.image, makers.spine() / 4095, atol=1e-6)
    assert film.facts["transfer_syntax"] == syntax.name


@pytest.mark.parametrize(
    ("kind", "bits", "worst"),
    [
        ("RLE", 12, 0),
        ("RLE", 8, 0),
        ("JPEG-LS", 12, 0),
        ("JPEG 2000", 12, 0),
        ("JPEGLosslessProcess14", 12, 0),
        ("JPEGLosslessProcess14_1", 16, 0),
        ("JPEGLosslessProcess14_1", 8, 0),
        ("JPEGBaselineProcess1", 8, 0.03),
        ("JPEGExtendedProcess2_4", 12, 0.03),
        ("JPEGExtendedProcess2_4", 8, 0.03),
        ("JPEG2000", 12, 0.03),
    ],
)
def test_every_compression_gives_the_film_back(tmp_path, capfd, kind, bits, worst):
    plain = read_radiograph(makers.save(makers.dataset(bits=bits), tmp_path / "plain.dcm"))
    film = read_radiograph(makers.compressed(tmp_path / "film.dcm", kind, bits=bits))
    assert float(np.abs(film.image - plain.image).max()) <= worst
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_a_film_without_preamble_or_meta_group_is_read(tmp_path, syntax):
    ds = makers.dataset()
    whole = makers.save(ds, tmp_path / "whole", syntax).read_bytes()
    path = tmp_path / "bare"
    first = b"\x08\x00\x16\x00" if syntax != ExplicitVRBigEndian else b"\x00\x08\x00\x16"
    path.write_bytes(whole[whole.index(first) :])
    assert read_radiograph(path).image.shape == (makers.ROWS, makers.COLS)


@pytest.mark.parametrize("function", ["", "LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize("bits", [8, 12, 16])
def test_both_photometric_interpretations_give_the_identical_film(tmp_path, function, bits):
    top = 2**bits - 1
    window = (
        {"WindowCenter": top * 0.5, "WindowWidth": top * 0.75, "VOILUTFunction": function} if function else {}
    )
    bright = makers.dataset(bits=bits, **window)
    dark = makers.dataset(
        (top - makers.spine(bits=bits)).astype(makers.spine(bits=bits).dtype), bits=bits, **window
    )
    dark.PhotometricInterpretation, dark.PresentationLUTShape = "MONOCHROME1", "INVERSE"
    if window:
        # The linear window lies half a grey level off its centre.
        dark.WindowCenter = top - bright.WindowCenter + (function == "LINEAR")
    first = read_radiograph(makers.save(bright, tmp_path / "2.dcm"))
    second = read_radiograph(makers.save(dark, tmp_path / "1.dcm"))
    np.testing.assert_array_equal(first.image, second.image)
    assert first.facts["window"].startswith(function.lower()[:6] or "robust")


def test_true_twelve_bit_jpeg_is_read(tmp_path):
    source = dcmread(get_testdata_file("JPEG-lossy.dcm", download=False))
    frame = get_frame(source.PixelData, 0, number_of_frames=1)
    rows, cols = source.Rows, source.Columns
    ds = makers.encapsulated(
        frame, JPEGExtended12Bit, Rows=rows, Columns=cols, BitsAllocated=16, BitsStored=12, HighBit=11
    )
    film = read_radiograph(makers.save(ds, tmp_path / "film.dcm"))
    assert film.image.shape == (1024, 256)
    low, high = (float(word) for word in film.facts["window"].split("linear ")[1].split(" to "))
    # The source states 278 as its largest value before compression.
    assert 0 <= low < high <= 278


def test_air_is_dark_and_bone_bright(tmp_path):
    image = read_radiograph(makers.save(makers.dataset(), tmp_path / "film.dcm")).image
    assert image[:, :3].mean() < 0.1
    assert image[5:10, makers.COLS // 2].mean() > 0.8


def test_an_inverse_presentation_turns_a_film_of_the_other_kind(tmp_path):
    ds = makers.dataset((4095 - makers.spine()).astype(np.uint16), PresentationLUTShape="INVERSE")
    assert read_radiograph(makers.save(ds, tmp_path / "film.dcm")).image[:, :3].mean() < 0.1


def test_signed_pixels_and_rescale_give_the_same_film(tmp_path):
    plain = read_radiograph(makers.save(makers.dataset(), tmp_path / "a.dcm"))
    signed = makers.dataset(makers.spine().astype(np.int16) - 2048, RescaleSlope=2, RescaleIntercept=-7)
    film = read_radiograph(makers.save(signed, tmp_path / "b.dcm"))
    np.testing.assert_allclose(film.image, plain.image, atol=1e-6)
    assert film.facts["bits"] == "12 of 16, signed"
    assert film.facts["modality_lut"] == "slope 2, intercept -7"


def test_overlays_in_the_high_bits_are_left_out(tmp_path):
    plain = read_radiograph(makers.save(makers.dataset(), tmp_path / "a.dcm"))
    drawn = makers.spine()
    drawn[10:40, 10:40] |= 0xF000
    film = read_radiograph(makers.save(makers.dataset(drawn), tmp_path / "b.dcm"))
    np.testing.assert_array_equal(film.image, plain.image)


def test_pixels_stored_in_the_high_bits_are_shifted_down(tmp_path):
    plain = read_radiograph(makers.save(makers.dataset(), tmp_path / "a.dcm"))
    high = makers.dataset((makers.spine() << 4).astype(np.uint16), HighBit=15)
    np.testing.assert_array_equal(read_radiograph(makers.save(high, tmp_path / "b.dcm")).image, plain.image)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_padding_is_air_in_either_polarity(tmp_path, photometric):
    pixels = makers.spine()
    pixels[:20] = 4095
    ds = makers.dataset(pixels, PhotometricInterpretation=photometric, PixelPaddingValue=4095)
    image = read_radiograph(makers.save(ds, tmp_path / "film.dcm")).image
    assert float(image[:20].max()) == 0
    assert float(image[20:].max()) == 1


def test_a_modality_table_gives_the_values_their_meaning(tmp_path):
    plain = read_radiograph(makers.save(makers.dataset(), tmp_path / "a.dcm"))
    table = makers.item(
        LUTDescriptor=[4096, 0, 16],
        ModalityLUTType="US",
        LUTData=(3 * np.arange(4096, dtype=np.uint16)).tobytes(),
    )
    table["LUTData"].VR = "OW"
    ds = makers.dataset(ModalityLUTSequence=[table])
    film = read_radiograph(makers.save(ds, tmp_path / "b.dcm"))
    np.testing.assert_allclose(film.image, plain.image, atol=1e-6)


def test_a_look_up_table_is_used_before_a_window(tmp_path):
    curve = (np.sqrt(np.arange(4096) / 4095) * 65535).astype(np.uint16)
    table = makers.item(LUTDescriptor=[4096, 0, 16], LUTData=curve.tobytes())
    table["LUTData"].VR = "OW"
    ds = makers.dataset(VOILUTSequence=[table], **FULL)
    film = read_radiograph(makers.save(ds, tmp_path / "film.dcm"))
    np.testing.assert_allclose(film.image, np.sqrt(makers.spine() / 4095), atol=1e-3)
    assert film.facts["window"] == "look-up table of the file"


def test_the_first_of_several_windows_is_used(tmp_path):
    ds = makers.dataset(WindowCenter=[2000, 100], WindowWidth=[3000, 50])
    film = read_radiograph(makers.save(ds, tmp_path / "film.dcm"))
    assert film.facts["window"] == "linear 500 to 3499"
    np.testing.assert_allclose(film.image, np.clip((makers.spine() - 500.0) / 2999, 0, 1), atol=1e-6)


def test_the_exact_linear_window_has_the_borders_of_the_standard(tmp_path):
    ds = makers.dataset(WindowCenter=2048, WindowWidth=4096, VOILUTFunction="LINEAR_EXACT")
    film = read_radiograph(makers.save(ds, tmp_path / "film.dcm"))
    np.testing.assert_allclose(film.image, makers.spine() / 4096, atol=1e-6)


@pytest.mark.parametrize(
    ("centre", "width", "why"),
    [
        (50, 10, "clips"),
        (2048, 0, "no width"),
        (2048, -5, "no width"),
        (30000, 60000, "fills only"),
        (90000, 5, "clips"),
    ],
)
def test_an_absurd_window_gives_way_to_a_robust_one(tmp_path, centre, width, why):
    ds = makers.dataset(WindowCenter=centre, WindowWidth=width)
    film = read_radiograph(makers.save(ds, tmp_path / "film.dcm"))
    assert film.facts["window"].startswith("robust")
    assert why in film.facts["window_reason"]
    assert np.ptp(film.image) == 1


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "PALETTE COLOR"])
def test_a_grey_capture_in_colour_is_read(tmp_path, photometric):
    grey = makers.spine(bits=8)
    if photometric == "PALETTE COLOR":
        ds = makers.capture(grey, PhotometricInterpretation=photometric)
        for name in ("Red", "Green", "Blue"):
            setattr(ds, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
            table = (np.arange(256, dtype=np.uint16) * 257).tobytes()
            setattr(ds, f"{name}PaletteColorLookupTableData", table)
    else:
        colour = np.stack(
            [grey] * 3 if photometric == "RGB" else [grey, grey * 0 + 128, grey * 0 + 128], axis=-1
        )
        ds = makers.capture(colour, PhotometricInterpretation=photometric)
    film = read_radiograph(makers.save(ds, tmp_path / "film.dcm"))
    np.testing.assert_allclose(film.image, grey / 255, atol=0.005)


def test_the_user_may_turn_the_polarity(tmp_path):
    path = makers.save(makers.dataset(), tmp_path / "film.dcm")
    turned = read_radiograph(path, polarity="bone-dark")
    np.testing.assert_allclose(turned.image, 1 - read_radiograph(path).image, atol=1e-6)
    assert "given by the user" in turned.facts["polarity"]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    centre=st.floats(-70000, 70000),
    width=st.floats(1e-3, 140000),
    shape=st.sampled_from(WindowShape),
    inverted=st.booleans(),
)
def test_every_window_is_monotonic_and_stays_within_zero_and_one(centre, width, shape, inverted):
    bright = Window(centre, width, shape).brightness(np.arange(-40000.0, 40000, 37), inverted=inverted)
    assert bright.min() >= 0
    assert bright.max() <= 1
    assert ((np.diff(bright) <= 0) if inverted else (np.diff(bright) >= 0)).all()


@settings(max_examples=40, deadline=None)
@given(
    centre=st.floats(-5000, 9000),
    width=st.floats(0.5, 20000),
    slope=st.floats(-4, 4).filter(lambda s: abs(s) > 0.01),
)
def test_a_developed_film_keeps_the_order_of_its_values(centre, width, slope):
    film = StoredFilm(codes=makers.spine(), values=np.arange(4096) * slope, shown_by=Window(centre, width))
    image, _ = develop(film)
    order = np.argsort(film.codes.ravel(), kind="stable")
    steps = np.diff(image.ravel()[order])
    assert (steps >= 0).all() if slope > 0 else (steps <= 0).all()
    assert image.dtype == np.float32


def test_a_flat_table_gives_way_to_a_robust_window():
    film = StoredFilm(codes=makers.spine(), values=np.arange(4096.0), shown_by=ToneCurve(np.ones(4096)))
    _, facts = develop(film)
    assert facts["window_reason"] == "the file's own table is flat"


def test_facts_hold_no_patient(tmp_path):
    ds = makers.dataset(
        SeriesDescription=f"LWS {makers.PATIENT_NAME}", Manufacturer="ACME", BodyPartExamined="LSPINE"
    )
    film = read_radiograph(makers.save(ds, tmp_path / "film.dcm"))
    text = repr(film.facts).lower()
    assert not any(word in text for word in makers.PATIENT_WORDS)
    assert film.facts["manufacturer"] == "ACME"
    assert film.name == "film.dcm"


@pytest.mark.slow
def test_a_large_film_is_read_quickly_and_in_little_memory(tmp_path):
    path = makers.save(makers.dataset(makers.spine(3000, 2000), **FULL), tmp_path / "film.dcm")
    read_radiograph(path)
    took = []
    for _ in range(3):
        start = time.perf_counter()
        read_radiograph(path)
        took.append(time.perf_counter() - start)
    # 0.1 s on an idle machine; the rest is room for a busy one.
    assert min(took) < 0.6
    tracemalloc.start()
    read_radiograph(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 120e6
