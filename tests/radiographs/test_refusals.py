"""Every kind of wrong or broken file has its own class, code and message, and none names a patient."""

from __future__ import annotations

import bz2
import gzip
import io
import os
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pydicom.uid import (
    UID,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    MediaStorageDirectoryStorage,
    RLELossless,
)

from vertebrometer import errors
from vertebrometer.radiographs import read_radiograph

from . import makers

STORAGE = "1.2.840.10008.5.1.4.1.1."
Maker = Callable[[Path], object]
CASES: dict[str, tuple[Maker, type[errors.VertebrometerError], str]] = {}


def case(name: str, error: type[errors.VertebrometerError], words: str) -> Callable[[Maker], Maker]:
    def keep(maker: Maker) -> Maker:
        CASES[name] = (maker, error, words)
        return maker

    return keep


def written(data: bytes) -> Maker:
    return lambda path: path.write_bytes(data)


def film(**elements: object) -> Maker:
    return lambda path: makers.save(makers.dataset(**elements), path)


def head_only(**elements: object) -> Maker:
    return film(PixelData=None, Rows=None, Columns=None, **elements)


def cut(maker: Maker, share: float) -> Maker:
    def make(path: Path) -> None:
        maker(path)
        path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])

    return make


def picture(pixels: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind, **options)
    return buffer.getvalue()


GREY = makers.spine(bits=8)
PNG, JPEG, TIFF = (picture(GREY, kind) for kind in ("PNG", "JPEG", "TIFF"))

# Files that cannot be opened, or are none.
case("missing", errors.MissingFileError, "no such file")(lambda path: None)
case("folder", errors.NotAFileError, "a folder")(lambda path: path.mkdir())
case("pipe", errors.NotAFileError, "a pipe")(os.mkfifo)
case("empty", errors.EmptyFileError, "is empty")(written(b""))

# Other formats, called by their name.
case("text", errors.UnknownFormatError, "a text file")(written(b"Spinelli, Quentina: no findings\n"))
case("gif", errors.UnknownFormatError, "a GIF")(written(picture(GREY, "GIF")))
case("webp", errors.UnknownFormatError, "a WebP")(written(b"RIFF\0\0\0\0WEBPVP8 "))
case("bmp", errors.UnknownFormatError, "a BMP")(written(picture(GREY, "BMP")))
case("pdf", errors.UnknownFormatError, "a PDF")(written(b"%PDF-1.7\n%\xe2\xe3"))
case("zip", errors.UnknownFormatError, "a ZIP archive")(written(b"PK\x03\x04" + bytes(60)))
case("gzip", errors.UnknownFormatError, "compressed with gzip")(written(gzip.compress(b"DICM" * 99)))
case("bzip2", errors.UnknownFormatError, "compressed with bzip2")(written(bz2.compress(b"DICM" * 99)))
case("heic", errors.UnknownFormatError, "an HEIC")(written(b"\0\0\0\x18ftypheic" + bytes(40)))
case("nifti", errors.UnknownFormatError, "a NIfTI")(written((348).to_bytes(4, "little") + bytes(400)))
case("noise", errors.UnknownFormatError, "no DICOM, PNG")(
    written(b"\0" + np.random.default_rng(1).integers(128, 255, 5000, np.uint8).tobytes())
)

# DICOM objects that are no film.
case("report", errors.NoImageError, "a structured report")(
    head_only(SOPClassUID=f"{STORAGE}88.33", Modality="SR")
)
case("document", errors.NoImageError, "an encapsulated document")(
    head_only(SOPClassUID=f"{STORAGE}104.1", Modality="DOC")
)
case("presentation", errors.NoImageError, "a presentation state")(
    head_only(SOPClassUID=f"{STORAGE}11.1", Modality="PR")
)
case("segmentation", errors.NoImageError, "a segmentation")(
    film(SOPClassUID=f"{STORAGE}66.4", Modality="SEG")
)
case("dicomdir", errors.NoImageError, "DICOMDIR")(
    head_only(SOPClassUID=MediaStorageDirectoryStorage, DirectoryRecordSequence=[makers.item(Rows=1)])
)
case("no pixels", errors.NoImageError, "no pixel data")(film(PixelData=None))
case("ct", errors.NotARadiographError, "a CT slice")(film(SOPClassUID=f"{STORAGE}2", Modality="CT"))
case("mr", errors.NotARadiographError, "an MR slice")(film(SOPClassUID=f"{STORAGE}4", Modality="MR"))
case("ultrasound", errors.NotARadiographError, "an ultrasound")(
    film(SOPClassUID=f"{STORAGE}6.1", Modality="US")
)
case("pet", errors.NotARadiographError, "a PET")(film(SOPClassUID=f"{STORAGE}128", Modality="PT"))
case("scintigram", errors.NotARadiographError, "a nuclear")(film(SOPClassUID=f"{STORAGE}20", Modality="NM"))
case("mammogram", errors.NotARadiographError, "a mammogram")(film(SOPClassUID=f"{STORAGE}1.2", Modality="MG"))
case("ct capture", errors.NotARadiographError, "a CT slice")(film(SOPClassUID=f"{STORAGE}7", Modality="CT"))
case("frames", errors.MultiFrameError, "holds 12 frames")(film(NumberOfFrames=12))

# Films of something else.
case("ap", errors.WrongViewError, r"\(frontal\)")(film(ViewPosition="AP"))
case("pa", errors.WrongViewError, r"\(frontal\)")(film(ViewPosition="PA"))
case("oblique", errors.WrongViewError, r"\(oblique\)")(film(ViewPosition="RLO"))
case("ap by code", errors.WrongViewError, r"\(frontal\)")(
    film(ViewCodeSequence=[makers.item(CodeValue="399348003", CodeMeaning="antero-posterior")])
)
case("ap by orientation", errors.WrongViewError, r"\(frontal\)")(film(PatientOrientation=["L", "F"]))
case("hand", errors.WrongBodyPartError, "the hand")(film(BodyPartExamined="HAND"))
case("knees", errors.WrongBodyPartError, "the knees")(film(BodyPartExamined="KNEES"))
case("skull by code", errors.WrongBodyPartError, "the skull")(
    film(AnatomicRegionSequence=[makers.item(CodeMeaning="Skull")])
)

# DICOM films that are damaged or of another making.
case("cut header", errors.TruncatedFileError, "ends before its image")(
    cut(film(Manufacturer="x" * 60, PixelData=None, Rows=None), 0.98)
)
case("cut pixels", errors.TruncatedFileError, r"holds \d+ of the 30720 bytes")(cut(film(), 0.6))
case("cut file of fragments", errors.TruncatedFileError, "ends before its image")(
    cut(lambda path: makers.compressed(path, "RLE"), 0.7)
)
case("too much", errors.DamagedImageError, "holds 30720 bytes of pixels, its header asks for 15360")(
    film(Rows=80)
)
case("no size", errors.DamagedImageError, "0 x 160 pixels")(film(Columns=0))
case("bomb", errors.ImageTooLargeError, "40000 x 40000 pixels")(film(Rows=40000, Columns=40000))
case("thumbnail", errors.ImageTooSmallError, "32 x 48 pixels")(
    lambda path: makers.save(makers.dataset(makers.spine(48, 32)), path)
)
case("blank", errors.BlankImageError, "the same value")(
    lambda path: makers.save(makers.dataset(np.full((160, 96), 77, np.uint16)), path)
)
case("all padding", errors.BlankImageError, "the same value")(
    lambda path: makers.save(makers.dataset(np.full((160, 96), 7, np.uint16), PixelPaddingValue=7), path)
)
case("mask", errors.NotARadiographError, "only 2 grey levels")(
    lambda path: makers.save(makers.dataset((makers.spine() > 3000).astype(np.uint8), bits=8), path)
)
case("32 bits", errors.UnsupportedPixelsError, "32 bits per pixel")(
    lambda path: makers.save(makers.dataset(makers.spine().astype(np.uint32), bits=32), path)
)
case("1 bit", errors.UnsupportedPixelsError, "1 bit per pixel")(
    film(BitsAllocated=1, BitsStored=1, HighBit=0)
)
case("floating point", errors.UnsupportedPixelsError, "floating point")(
    film(PixelData=None, FloatPixelData=bytes(160 * 96 * 4))
)
case("bits astray", errors.DamagedImageError, "20 bits")(film(BitsStored=20, HighBit=19))
case("no photometric", errors.UnsupportedPixelsError, "whether large values are bright")(
    film(PhotometricInterpretation=None)
)
case("samples astray", errors.DamagedImageError, "3 samples per pixel")(film(SamplesPerPixel=3))
case("no palette", errors.DamagedImageError, "palette")(
    lambda path: makers.save(makers.capture(GREY, PhotometricInterpretation="PALETTE COLOR"), path)
)
case("colour capture", errors.PhotographError, "is in colour")(
    lambda path: makers.save(makers.capture(makers.photograph()), path)
)


@case("private syntax", errors.MissingDecoderError, "not known")
def _(path: Path) -> None:
    makers.save(makers.encapsulated(JPEG, JPEGBaseline8Bit), path)
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.4.50", b"1.2.840.99999.1.2.4.50"))


case("video", errors.MissingDecoderError, "not known")(
    lambda path: makers.save(makers.encapsulated(JPEG, UID("1.2.840.10008.1.2.4.102")), path)
)
case("corrupt jpeg", errors.DamagedImageError, "JPEG header makes no sense")(
    lambda path: makers.save(
        makers.encapsulated(b"\xff\xd8" + bytes(400) + b"\xff\xd9", JPEGBaseline8Bit), path
    )
)
case("corrupt jpeg 2000", errors.DamagedImageError, "JPEG 2000 header makes no sense")(
    lambda path: makers.save(makers.encapsulated(bytes(400), JPEG2000Lossless), path)
)
case("corrupt rle", errors.DamagedImageError, "cannot be decoded")(
    lambda path: makers.save(makers.encapsulated(b"\xfe" * 400, RLELossless), path)
)
case("cut jpeg", errors.TruncatedFileError, "compressed image ends")(
    lambda path: makers.save(makers.encapsulated(JPEG[: len(JPEG) // 2], JPEGBaseline8Bit), path)
)
case("other size inside", errors.DamagedImageError, "96 x 160 pixels, the file's header 96 x 128")(
    lambda path: makers.save(makers.encapsulated(JPEG, JPEGBaseline8Bit, Rows=128), path)
)
case("wrong codec", errors.DamagedImageError, "cannot be decoded")(
    lambda path: makers.save(makers.encapsulated(JPEG, JPEGLSLossless), path)
)


@case("fragment without frame", errors.DamagedImageError, "not wrapped")
def _(path: Path) -> None:
    ds = makers.encapsulated(JPEG, JPEGLosslessSV1)
    ds.PixelData = b"\xfe\xff\x00\xe0\x04\x00\x00\x00\0\0\0\0" + b"\x12\x34" * 40
    makers.save(ds, path)


@case("deflated bomb", errors.ImageTooLargeError, "inflates beyond")
def _(path: Path) -> None:
    makers.save(makers.dataset(), path, "1.2.840.10008.1.2.1.99")
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    from vertebrometer.radiographs.sniff import dicom_meta

    meta = path.read_bytes()[: dicom_meta(path.read_bytes())[1]]
    zeros = bytes(1 << 24)
    path.write_bytes(meta + b"".join(packer.compress(zeros) for _ in range(40)) + packer.flush())


@case("cut deflated", errors.TruncatedFileError, "deflated data")
def _(path: Path) -> None:
    makers.save(makers.dataset(), path, "1.2.840.10008.1.2.1.99")
    path.write_bytes(path.read_bytes()[:-200])


# Raster files.
case("cut png", errors.TruncatedFileError, "ends before its last row")(written(PNG[: len(PNG) // 2]))
case("cut png header", errors.TruncatedFileError, "within its header")(written(PNG[:20]))
case("cut jpeg file", errors.TruncatedFileError, "ends before its last row")(written(JPEG[: len(JPEG) // 2]))
case("cut jpeg header", errors.TruncatedFileError, "within its header")(written(JPEG[:50]))
case("cut tiff", errors.TruncatedFileError, "TIFF image ends")(written(TIFF[: len(TIFF) // 2]))
case("corrupt png", errors.DamagedImageError, "PNG image is damaged")(
    written(PNG[:60] + bytes(40) + PNG[100:])
)
case("corrupt tiff", errors.DamagedImageError, "TIFF header makes no sense")(
    written(b"II*\0\x08\0\0\0\xff\xff" + bytes(40))
)
case("png bomb", errors.ImageTooLargeError, "40000 x 40000")(
    written(makers.png_by_hand(40000, 40000, 8, 0, bytes(10000)))
)
case("jpeg bomb", errors.ImageTooLargeError, "40000 x 40000")(
    written(JPEG.replace(b"\x08\x00\xa0\x00\x60\x01", b"\x08\x9c\x40\x9c\x40\x01"))
)
case("tiff bomb", errors.ImageTooLargeError, "40000 x 40000")(
    written(makers.tiff_by_hand({256: (4, 40000), 257: (4, 40000), 258: (3, 8), 262: (3, 1)}))
)
case("cmyk", errors.UnsupportedPixelsError, "cmyk")(
    lambda path: Image.fromarray(GREY).convert("CMYK").save(path, "JPEG")
)
case("see-through", errors.UnsupportedPixelsError, "transparent")(
    written(picture(np.dstack([GREY, GREY, GREY, GREY]), "PNG"))
)
case("bilevel", errors.UnsupportedPixelsError, "1 bit per pixel")(
    lambda path: Image.fromarray(GREY > 99).save(path, "PNG")
)
case("bilevel tiff", errors.UnsupportedPixelsError, "1 bit per pixel")(
    lambda path: Image.fromarray(GREY > 99).save(path, "TIFF")
)
case("four bits", errors.UnsupportedPixelsError, "4 bits per pixel")(
    written(makers.png_by_hand(160, 96, 4, 0, b"\0" * 160 * 49))
)
case("float tiff", errors.UnsupportedPixelsError, "float numbers")(
    written(picture(GREY.astype(np.float32), "TIFF"))
)
case("photograph", errors.PhotographError, "is in colour")(written(picture(makers.photograph(), "JPEG")))
case("photograph png", errors.PhotographError, "is in colour")(written(picture(makers.photograph(), "PNG")))
case("blank png", errors.BlankImageError, "the same value")(written(picture(GREY * 0 + 9, "PNG")))
case("icon", errors.ImageTooSmallError, "48 x 48")(written(picture(GREY[:48, :48], "PNG")))


@case("pages", errors.MultiFrameError, "holds 3 images")
def _(path: Path) -> None:
    pages = [Image.fromarray(GREY) for _ in range(3)]
    pages[0].save(path, "TIFF", save_all=True, append_images=pages[1:])


@case("animation", errors.MultiFrameError, "holds 2 images")
def _(path: Path) -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(GREY[::-1].copy())]
    frames[0].save(path, "PNG", save_all=True, append_images=frames[1:])


def test_there_are_more_than_thirty_kinds():
    assert len(CASES) >= 60


@pytest.mark.parametrize("name", CASES)
def test_a_wrong_file_gets_its_own_error(tmp_path, capfd, caplog, name):
    make, error, words = CASES[name]
    folder = tmp_path / "Spinelli_ZQX-4711"
    folder.mkdir()
    path = folder / "film"
    make(path)
    with pytest.raises(error, match=words) as caught:
        read_radiograph(path)
    assert type(caught.value) is error
    said = (str(caught.value) + capfd.readouterr().err + caplog.text).lower()
    assert not any(word in said for word in makers.PATIENT_WORDS)
    assert caught.value.__cause__ is None


def test_every_error_class_has_its_own_code():
    classes = {error for _, error, _ in CASES.values()}
    assert len({error.code for error in classes}) == len(classes)


def test_a_file_without_the_right_to_read_says_so(tmp_path, monkeypatch):
    path = makers.save(makers.dataset(), tmp_path / "film.dcm")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(errors.ForbiddenFileError, match="may not be opened") as caught:
        read_radiograph(path)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("spacing", [(0, 0.1), (0.1, -1), (100, 100), (0.1,), ("a", "b")])
def test_a_spacing_that_no_film_has_is_refused(tmp_path, spacing):
    with pytest.raises(errors.SettingsError, match="row and column spacing"):
        read_radiograph(tmp_path / "film", spacing_mm=spacing)


@pytest.mark.parametrize("seed", range(40))
def test_a_film_with_bytes_changed_at_random_is_read_or_refused(tmp_path, seed):
    rng = np.random.default_rng(seed)
    kinds = ["RLE", "JPEG-LS", "JPEG 2000", "JPEGLosslessProcess14_1", "plain", "png", "jpeg", "tiff"]
    kind = kinds[seed % len(kinds)]
    path = tmp_path / "film"
    if kind in ("png", "jpeg", "tiff"):
        path.write_bytes({"png": PNG, "jpeg": JPEG, "tiff": TIFF}[kind])
    elif kind == "plain":
        makers.save(makers.dataset(), path)
    else:
        makers.compressed(path, kind)
    data = bytearray(path.read_bytes())
    for at in rng.integers(0, len(data) if seed % 2 else min(len(data), 1500), rng.integers(1, 20)):
        data[at] = int(rng.integers(256))
    path.write_bytes(data)
    try:
        film = read_radiograph(path)
    except errors.VertebrometerError:
        return
    assert np.isfinite(film.image).all()
