"""Films out of DICOM files; the only part of reading that knows pydicom.

The header is judged before any pixel is touched. Everything that comes from
the file is text or numbers of unknown quality: what cannot be read is treated
as not stated, and names, identifiers and dates are never looked at.
"""

from __future__ import annotations

import logging
import math
import re
import subprocess
import sys
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import Decoder, get_decoder
from pydicom.pixels.processing import apply_color_lut, convert_color_space
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from vertebrometer.errors import (
    DamagedImageError,
    ImageTooLargeError,
    MissingDecoderError,
    MultiFrameError,
    NoImageError,
    TruncatedFileError,
    UnreadableFileError,
    UnsupportedPixelsError,
    VertebrometerError,
)
from vertebrometer.radiographs.colour import grey_of
from vertebrometer.radiographs.grey import CodeImage, StoredFilm, ToneCurve, Window, WindowShape
from vertebrometer.radiographs.headers import jpeg2000_header, jpeg_header
from vertebrometer.radiographs.limits import MAX_FILE_BYTES, check_file_bytes, check_size
from vertebrometer.radiographs.modalities import MEDIA_DIRECTORY, SECONDARY_CAPTURE, refuse_other_objects
from vertebrometer.radiographs.sniff import dicom_meta, read_head
from vertebrometer.radiographs.spacing import ReadSpacing, StatedSpacing, read_spacing
from vertebrometer.radiographs.views import Statements, refuse_other_views
from vertebrometer.types import FloatArray

_GREY: Final = ("MONOCHROME1", "MONOCHROME2")
_COLOUR: Final = (
    "RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT",
    "PALETTE COLOR",
)  # fmt: skip
_UNDEFINED_LENGTH: Final = 0xFFFFFFFF
_TRANSFER_SYNTAX: Final = 0x0010
_UNDECODABLE: Final = "the image in the DICOM file is damaged and cannot be decoded; export the film again"
_SHORTEST_ELEMENT: Final = 8
_GDCM_WORKER: Final = Path(__file__).with_name("gdcm_worker.py")
_GDCM_SECONDS: Final = 60
_GDCM_IS_MISSING: Final = 3
_END_OF_CODESTREAM: Final = b"\xff\xd9"

_reading: ContextVar[bool] = ContextVar("reading", default=False)


class _WhileReading(logging.Filter):
    """Drops what pydicom would log about a file that we read: it quotes values and paths."""

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002
        return not _reading.get()


# A filter on a logger does not reach the loggers below it, so each gets its own.
for _name in [*logging.root.manager.loggerDict]:
    if _name.split(".")[0] in ("pydicom", "pylibjpeg", "openjpeg", "_openjpeg", "jpeg_ls", "rle"):
        logging.getLogger(_name).addFilter(_WhileReading())


def read_dicom(path: Path, *, any_view: bool = False) -> tuple[StoredFilm, ReadSpacing, bool]:
    """Read a single projection radiograph.

    Returns
    -------
    film : StoredFilm
        The film as decoded.
    spacing : ReadSpacing
        Size and shape of a pixel, as stated.
    polarity_is_stated : bool
        Whether the file's word on what is bright can be trusted; that of a
        secondary capture is only about the capture.
    """
    with _quietly():
        return _film_of(path, any_view=any_view)


def _film_of(path: Path, *, any_view: bool) -> tuple[StoredFilm, ReadSpacing, bool]:
    _refuse_inflation(path)
    header, cut_short = _parsed(path, pixels=False)
    facts = _judged(header, any_view=any_view, cut_short=cut_short)
    check_file_bytes(path.stat().st_size)
    dataset, cut_short = _parsed(path, pixels=True)
    syntax = _transfer_syntax(dataset)
    facts["transfer_syntax"] = syntax.name
    _require_pixels(dataset, syntax, cut_short=cut_short)
    pixels = _decoded(dataset, syntax)
    film = (
        _grey_film(dataset, pixels, facts)
        if _photometric(dataset) in _GREY
        else _colour_film(dataset, pixels, facts)
    )
    is_capture = (
        _text(dataset, "SOPClassUID").startswith(SECONDARY_CAPTURE) or _photometric(dataset) not in _GREY
    )
    return film, read_spacing(_stated_spacing(dataset)), not is_capture


# Parsing


@contextmanager
def _quietly() -> Iterator[list[str]]:
    """Keep pydicom's warnings and log lines, which may quote a patient, from leaving; hand them over."""
    token = _reading.set(True)
    said: list[str] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield said
            said.extend(str(warning.message) for warning in caught)
    finally:
        _reading.reset(token)


@contextmanager
def _damage_becomes(error: VertebrometerError) -> Iterator[list[str]]:
    """Run a parser or decoder on bytes that may be damaged; whatever it raises then becomes `error`."""
    try:
        with _quietly() as said:
            yield said
    except Exception:  # noqa: BLE001  (damaged bytes make these raise anything, with values quoted)
        raise error from None


def _parsed(path: Path, *, pixels: bool) -> tuple[Dataset, bool]:
    """Return the data set, and whether the file ends within an element."""
    msg = "the DICOM header is damaged and cannot be read; export the film again"
    with _damage_becomes(UnreadableFileError(msg)) as said:
        dataset = pydicom.dcmread(path, force=True, stop_before_pixels=not pixels)
        cut_short = _ends_within_element(dataset, path.stat().st_size)
    return dataset, cut_short or any("nd of file" in line or "nd of input" in line for line in said)


def _ends_within_element(dataset: Dataset, size: int) -> bool:
    """Whether the last element, or the one after it, is cut short by the end of the file."""
    tags = sorted(dataset.keys())
    if not tags:
        return False
    last: Any = dataset.get_item(tags[-1])
    length, value = getattr(last, "length", None), getattr(last, "value", None)
    if not isinstance(length, int) or length == _UNDEFINED_LENGTH or not isinstance(value, bytes):
        return False
    return len(value) < length or 0 < size - (last.value_tell + length) < _SHORTEST_ELEMENT


def _refuse_inflation(path: Path) -> None:
    """Refuse a deflated file that would fill the memory, before pydicom inflates it whole."""
    uids, start = dicom_meta(read_head(path))
    if uids.get(_TRANSFER_SYNTAX) != DeflatedExplicitVRLittleEndian:
        return
    inflater, inflated = zlib.decompressobj(-zlib.MAX_WBITS), 0
    with path.open("rb") as file:
        file.seek(start)
        while chunk := file.read(1 << 16):
            while chunk:
                try:
                    inflated += len(inflater.decompress(chunk, 1 << 22))
                except zlib.error:
                    msg = "the deflated part of the DICOM file is damaged; export the film again"
                    raise DamagedImageError(msg) from None
                chunk = inflater.unconsumed_tail
                if inflated > MAX_FILE_BYTES:
                    msg = (
                        f"the file inflates beyond {MAX_FILE_BYTES / 1e6:.0f} MB, far more than a film needs"
                    )
                    raise ImageTooLargeError(msg)
    if not inflater.eof:
        msg = "the file ends before its deflated data does; copy or export it again"
        raise TruncatedFileError(msg)


def _meta(dataset: Dataset) -> Dataset:
    """Return the file meta group, which a file without preamble may lack."""
    meta: Dataset = getattr(dataset, "file_meta", None) or Dataset()
    return meta


def _transfer_syntax(dataset: Dataset) -> UID:
    if stated := _text(_meta(dataset), "TransferSyntaxUID"):
        return UID(stated)
    # A file without meta information is one of these, which pydicom tells apart by looking.
    implicit, little = dataset.original_encoding
    if implicit:
        return ImplicitVRLittleEndian
    return ExplicitVRBigEndian if little is False else ExplicitVRLittleEndian


# Reading single elements


def _read(dataset: Dataset, keyword: str, convert: Callable[[Any], Any], default: Any) -> Any:
    try:
        with _damage_becomes(UnreadableFileError(keyword)):
            value = dataset.get(keyword)
            return default if value is None or value == "" else convert(value)
    except UnreadableFileError:
        return default


def _text(dataset: Dataset, keyword: str) -> str:
    """Return the first value of a text element, printable and short; empty when not stated."""
    return (_texts(dataset, keyword) or ("",))[0]


def _texts(dataset: Dataset, keyword: str) -> tuple[str, ...]:
    def convert(value: Any) -> tuple[str, ...]:
        values = [value] if isinstance(value, str) else list(value)
        return tuple(re.sub(r"[^ -~]", "", str(item)).strip()[:64] for item in values)

    texts: tuple[str, ...] = _read(dataset, keyword, convert, ())
    return texts


def _numbers(dataset: Dataset, keyword: str) -> tuple[float, ...]:
    def convert(value: Any) -> tuple[float, ...]:
        values = list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
        return tuple(float(item) for item in values)

    numbers: tuple[float, ...] = _read(dataset, keyword, convert, ())
    return numbers


def _number(dataset: Dataset, keyword: str) -> float | None:
    numbers = _numbers(dataset, keyword)
    return numbers[0] if numbers and math.isfinite(numbers[0]) else None


def _whole(dataset: Dataset, keyword: str, default: int = 0) -> int:
    number = _number(dataset, keyword)
    return default if number is None else int(number)


def _items(dataset: Dataset, keyword: str) -> tuple[Dataset, ...]:
    items: tuple[Any, ...] = _read(dataset, keyword, tuple, ())
    return tuple(item for item in items if isinstance(item, Dataset))


def _photometric(dataset: Dataset) -> str:
    return _text(dataset, "PhotometricInterpretation").upper()


# Judging the header


def _judged(header: Dataset, *, any_view: bool, cut_short: bool) -> dict[str, str]:
    """Refuse what the header shows to be no film to measure; return what is worth keeping of it."""
    modality = _text(header, "Modality").upper()
    media_class = _text(_meta(header), "MediaStorageSOPClassUID")
    if "DirectoryRecordSequence" in header:
        media_class = MEDIA_DIRECTORY
    refuse_other_objects(media_class or _text(header, "SOPClassUID"), modality)
    refuse_other_objects(_text(header, "SOPClassUID"), modality)
    frames = _whole(header, "NumberOfFrames", 1)
    if frames > 1:
        msg = f"the file holds {frames} frames; export the frame to measure as a film of its own"
        raise MultiFrameError(msg)
    if "Rows" not in header or "Columns" not in header:
        _refuse_without_pixels(header, cut_short=cut_short)
    views = refuse_other_views(_statements(header), any_view=any_view)
    check_size(_whole(header, "Rows"), _whole(header, "Columns"))
    _refuse_odd_pixels(header)
    return _facts(header) | views


def _statements(header: Dataset) -> Statements:
    codes = _items(header, "ViewCodeSequence")
    regions = _items(header, "AnatomicRegionSequence")
    descriptions = (
        "SeriesDescription",
        "ProtocolName",
        "AcquisitionDeviceProcessingDescription",
        "StudyDescription",
    )
    return Statements(
        view_position=_text(header, "ViewPosition"),
        view_codes=tuple((_text(item, "CodeValue"), _text(item, "CodeMeaning")) for item in codes),
        orientation=tuple(text.upper() for text in _texts(header, "PatientOrientation")),
        body_parts=(_text(header, "BodyPartExamined"), *(_text(item, "CodeMeaning") for item in regions)),
        descriptions=tuple(_text(header, keyword) for keyword in descriptions),
    )


def _refuse_odd_pixels(header: Dataset) -> None:
    allocated, stored = _whole(header, "BitsAllocated"), _bits_stored(header)
    photometric, samples = _photometric(header), _whole(header, "SamplesPerPixel", 1)
    if allocated == 1 or stored == 1:
        msg = "the image is black and white, 1 bit per pixel; grey levels of 8 to 16 bits are wanted"
        raise UnsupportedPixelsError(msg)
    if allocated not in (8, 16):
        msg = f"the image has {allocated} bits per pixel; films of 8 or 16 are read"
        raise UnsupportedPixelsError(msg)
    if not 1 < stored <= allocated or not stored - 1 <= _high_bit(header) < allocated:
        msg = (
            f"the header puts {stored} bits, the highest at {_high_bit(header)}, into {allocated}; "
            "export the film again"
        )
        raise DamagedImageError(msg)
    if photometric not in (*_GREY, *_COLOUR):
        msg = "the header does not say whether large values are bright; export the film again"
        raise UnsupportedPixelsError(msg)
    if samples != (3 if photometric in _COLOUR and photometric != "PALETTE COLOR" else 1):
        msg = f"the header states {samples} samples per pixel for {photometric}, which contradicts itself"
        raise DamagedImageError(msg)


def _bits_stored(dataset: Dataset) -> int:
    return _whole(dataset, "BitsStored", _whole(dataset, "BitsAllocated"))


def _high_bit(dataset: Dataset) -> int:
    return _whole(dataset, "HighBit", _bits_stored(dataset) - 1)


def _facts(header: Dataset) -> dict[str, str]:
    signed = ", signed" if _whole(header, "PixelRepresentation") else ""
    found = {
        "format": "DICOM",
        "modality": _text(header, "Modality")[:16],
        "photometric": _photometric(header),
        "bits": f"{_bits_stored(header)} of {_whole(header, 'BitsAllocated')}{signed}",
        "body_part": _text(header, "BodyPartExamined")[:16],
        "manufacturer": _text(header, "Manufacturer"),
        "model": _text(header, "ManufacturerModelName"),
        "presentation_intent": _text(header, "PresentationIntentType")[:16],
    }
    return {name: text for name, text in found.items() if text}


def _stated_spacing(dataset: Dataset) -> StatedSpacing:
    return StatedSpacing(
        pixel_mm=_numbers(dataset, "PixelSpacing"),
        imager_mm=_numbers(dataset, "ImagerPixelSpacing"),
        nominal_scanned_mm=_numbers(dataset, "NominalScannedPixelSpacing"),
        calibration_type=_text(dataset, "PixelSpacingCalibrationType").upper(),
        magnification=_number(dataset, "EstimatedRadiographicMagnificationFactor"),
        aspect=_numbers(dataset, "PixelAspectRatio"),
    )


# Decoding


def _require_pixels(dataset: Dataset, syntax: UID, *, cut_short: bool) -> None:
    """Refuse missing, cut and contradictory pixel data before a decoder sees it."""
    data = _read(dataset, "PixelData", bytes, b"")
    if not data:
        _refuse_without_pixels(dataset, cut_short=cut_short)
    if not syntax.is_transfer_syntax or not _is_known(syntax):
        msg = "the pixels are stored in a transfer syntax that is not known; export the film uncompressed"
        raise MissingDecoderError(msg)
    if syntax.is_encapsulated:
        return
    wanted = _whole(dataset, "Rows") * _whole(dataset, "Columns") * _whole(dataset, "SamplesPerPixel", 1)
    wanted *= _whole(dataset, "BitsAllocated") // 8
    if _photometric(dataset) in ("YBR_FULL_422", "YBR_PARTIAL_422"):
        wanted = wanted * 2 // 3
    if len(data) < wanted:
        msg = (
            f"the file holds {len(data)} of the {wanted} bytes of its image, it was cut short; copy it again"
        )
        raise TruncatedFileError(msg)
    # Some writers pad to a disk sector; more than a row too many means that the header is wrong.
    if len(data) - wanted > max(512, wanted // _whole(dataset, "Rows")):
        msg = (
            f"the file holds {len(data)} bytes of pixels, its header asks for {wanted}; export the film again"
        )
        raise DamagedImageError(msg)


def _refuse_without_pixels(dataset: Dataset, *, cut_short: bool) -> NoReturn:
    if cut_short:
        msg = "the file ends before its image does; copy or export it again"
        raise TruncatedFileError(msg)
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        msg = "the image is stored as floating point; films of 8 to 16 bits are read"
        raise UnsupportedPixelsError(msg)
    msg = "the DICOM file holds no pixel data; export the film with its image"
    raise NoImageError(msg)


def _is_known(syntax: UID) -> bool:
    try:
        get_decoder(syntax)
    except NotImplementedError:
        return False
    return True


def _decoded(dataset: Dataset, syntax: UID) -> NDArray[Any]:
    """Return the pixels, shape (rows, cols) or (rows, cols, 3)."""
    decoder = get_decoder(syntax)
    if not syntax.is_encapsulated:
        return _first_success(decoder, dataset, ("",))
    frame = _checked_frame(dataset, syntax)
    if syntax in (JPEGLossless, JPEGLosslessSV1) or (
        syntax == JPEGExtended12Bit and jpeg_header(frame).bits > 8
    ):
        return _by_gdcm(dataset, frame, syntax)
    return _first_success(decoder, dataset, _plugins(decoder, syntax))


def _plugins(decoder: Decoder, syntax: UID) -> tuple[str, ...]:
    # GDCM can abort the whole process on damaged images, and pylibjpeg's decoder of RLE panics on them.
    unsafe = ("gdcm", "pylibjpeg") if syntax == RLELossless else ("gdcm",)
    safe = tuple(plugin for plugin in decoder.available_plugins if plugin not in unsafe)
    if not safe:
        raise _no_decoder(syntax)
    return safe


def _no_decoder(syntax: UID) -> MissingDecoderError:
    return MissingDecoderError(
        f"no decoder for {syntax.name} is installed; install vertebrometer with all its dependencies"
    )


def _first_success(decoder: Decoder, dataset: Dataset, plugins: tuple[str, ...]) -> NDArray[Any]:
    for plugin in plugins:
        with suppress(DamagedImageError), _damage_becomes(DamagedImageError(plugin)):
            # Which bits are the image's is settled later, and for every high bit.
            pixels, _ = decoder.as_array(dataset, decoding_plugin=plugin, correct_unused_bits=False)  # type: ignore[arg-type]
            if pixels.dtype.itemsize <= 2:
                return np.asarray(pixels)
    raise DamagedImageError(_UNDECODABLE)


def _by_gdcm(dataset: Dataset, frame: bytes, syntax: UID) -> NDArray[Any]:
    """Decode lossless or 12-bit JPEG, which nothing else does, where an abort does no harm."""
    rows, cols = _whole(dataset, "Rows"), _whole(dataset, "Columns")
    samples, allocated = _whole(dataset, "SamplesPerPixel", 1), _whole(dataset, "BitsAllocated")
    numbers = (rows, cols, samples, allocated, _bits_stored(dataset), _whole(dataset, "PixelRepresentation"))
    command = [
        sys.executable,
        "-I",
        str(_GDCM_WORKER),
        str(syntax),
        _photometric(dataset),
        *map(str, numbers),
    ]
    try:
        done = subprocess.run(command, input=frame, capture_output=True, timeout=_GDCM_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise DamagedImageError(_UNDECODABLE) from None
    if done.returncode == _GDCM_IS_MISSING:
        raise _no_decoder(syntax)
    if done.returncode != 0 or len(done.stdout) != rows * cols * samples * allocated // 8:
        raise DamagedImageError(_UNDECODABLE)
    kind = ("i" if _whole(dataset, "PixelRepresentation") else "u") + str(allocated // 8)
    pixels = np.frombuffer(done.stdout, kind).reshape((rows, cols, 3) if samples == 3 else (rows, cols))
    return convert_color_space(pixels, "YBR_FULL", "RGB") if "YBR_FULL" in _photometric(dataset) else pixels


def _checked_frame(dataset: Dataset, syntax: UID) -> bytes:
    """Return the compressed image, once its own header agrees with that of the file."""
    msg = "the compressed image is not wrapped as DICOM demands; export the film again"
    with _damage_becomes(DamagedImageError(msg)):
        frame = get_frame(dataset.PixelData, 0, number_of_frames=1)
    if syntax == RLELossless:
        return frame
    if syntax in JPEGTransferSyntaxes or syntax in JPEGLSTransferSyntaxes:
        header = jpeg_header(frame)
    elif syntax in JPEG2000TransferSyntaxes or "JPEG 2000" in syntax.name:
        header = jpeg2000_header(frame)
    else:
        return frame
    if (header.rows, header.cols) != (_whole(dataset, "Rows"), _whole(dataset, "Columns")):
        msg = (
            f"the compressed image has {header.cols} x {header.rows} pixels, "
            f"the file's header {_whole(dataset, 'Columns')} x {_whole(dataset, 'Rows')}; export it again"
        )
        raise DamagedImageError(msg)
    # Neither format has this marker inside its data. Without it some decoders make up the rest.
    if _END_OF_CODESTREAM not in frame[-64:]:
        msg = "the compressed image ends before its last row; copy or export the film again"
        raise TruncatedFileError(msg)
    return frame


# Meaning of the numbers


def _grey_film(dataset: Dataset, pixels: NDArray[Any], facts: dict[str, str]) -> StoredFilm:
    bits = _bits_stored(dataset)
    stored = np.arange(2**bits, dtype=np.float64)
    if _whole(dataset, "PixelRepresentation"):
        stored[stored >= 2 ** (bits - 1)] -= 2**bits
    values = _after_modality_lut(dataset, stored, facts)
    # PS3.3, C.11.6: INVERSE says of a MONOCHROME1 film only what that word says already.
    inverted = (
        _photometric(dataset) == "MONOCHROME1" or _text(dataset, "PresentationLUTShape").upper() == "INVERSE"
    )
    return StoredFilm(
        codes=_codes(dataset, pixels),
        values=values,
        inverted=inverted,
        shown_by=_shown_by(dataset, values),
        padding=_padding(dataset, stored),
        facts=facts,
    )


def _colour_film(dataset: Dataset, pixels: NDArray[Any], facts: dict[str, str]) -> StoredFilm:
    if _photometric(dataset) == "PALETTE COLOR":
        msg = "the palette of the image is missing or damaged; export the film as grey levels"
        with _damage_becomes(DamagedImageError(msg)):
            pixels = apply_color_lut(pixels, dataset)
        bits = 8 * pixels.dtype.itemsize
    else:
        bits = _bits_stored(dataset)
    codes, how_grey = grey_of(pixels[..., :3])
    scale = float(2**bits - 1)
    return StoredFilm(
        codes=codes,
        values=np.arange(2.0 ** (8 * codes.dtype.itemsize)),
        shown_by=Window(scale / 2, scale),
        facts=facts | {"grey_from_colour": how_grey},
    )


def _codes(dataset: Dataset, pixels: NDArray[Any]) -> CodeImage:
    """Return the bits that carry the image; others in the word may hold overlays."""
    bits = _bits_stored(dataset)
    whole = np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("="))
    codes: Any = whole.view(np.uint8 if whole.dtype.itemsize == 1 else np.uint16)
    shift = _high_bit(dataset) + 1 - bits
    if bits < 8 * codes.dtype.itemsize:
        codes = (codes >> shift if shift else codes) & codes.dtype.type(2**bits - 1)
    kept: CodeImage = codes
    return kept


def _after_modality_lut(dataset: Dataset, stored: FloatArray, facts: dict[str, str]) -> FloatArray:
    tables = _items(dataset, "ModalityLUTSequence")
    if tables and (table := _table(tables[0])) is not None:
        facts["modality_lut"] = "table"
        return _looked_up(stored, *table)
    slope, intercept = _number(dataset, "RescaleSlope"), _number(dataset, "RescaleIntercept")
    if slope is None and intercept is None:
        return stored
    slope = 1.0 if slope is None else slope
    if slope == 0 or abs(slope) > 1e6:
        facts["modality_lut"] = f"rescale slope {slope:g} ignored"
        return stored
    if (slope, intercept or 0.0) != (1.0, 0.0):
        facts["modality_lut"] = f"slope {slope:g}, intercept {intercept or 0.0:g}"
    return stored * slope + (intercept or 0.0)


def _shown_by(dataset: Dataset, values: FloatArray) -> Window | ToneCurve | None:
    """Return the first look-up table of the file, else its first window, if any."""
    tables = _items(dataset, "VOILUTSequence")
    if tables and (table := _table(tables[0])) is not None:
        curve = ToneCurve(_looked_up(values, *table))
        if float(np.ptp(curve.levels)) > 0:
            return curve
    centres, widths = _numbers(dataset, "WindowCenter"), _numbers(dataset, "WindowWidth")
    if not centres or not widths:
        return None
    function = _text(dataset, "VOILUTFunction").upper()
    if function == "SIGMOID":
        return Window(centres[0], widths[0], WindowShape.SIGMOID)
    if function == "LINEAR_EXACT":
        return Window(centres[0], widths[0])
    # PS3.3, C.11.2.1.2.1: the plain linear window counts whole grey levels, not their borders.
    return Window(centres[0] - 0.5, widths[0] - 1)


def _table(item: Dataset) -> tuple[int, FloatArray] | None:
    """Return the first input value and the entries of a look-up table (PS3.3, C.11.1.1)."""
    descriptor = [int(number) for number in _numbers(item, "LUTDescriptor")]
    if len(descriptor) != 3:
        return None
    count = descriptor[0] & 0xFFFF or 65536
    raw = _read(item, "LUTData", lambda value: value, None)
    if isinstance(raw, bytes):
        kind = np.uint8 if len(raw) < 2 * count else np.dtype("<u2" if _is_little(item) else ">u2")
        entries: NDArray[Any] = np.frombuffer(
            raw[: len(raw) // np.dtype(kind).itemsize * np.dtype(kind).itemsize], kind
        )
    else:
        entries = np.array(_numbers(item, "LUTData"))
    wanted: FloatArray = entries[:count].astype(np.float64)
    return (descriptor[1], wanted) if wanted.size >= 2 else None


def _is_little(dataset: Dataset) -> bool:
    return dataset.original_encoding[1] is not False


def _looked_up(values: FloatArray, first: int, entries: FloatArray) -> FloatArray:
    found: FloatArray = entries[np.clip(np.rint(values) - first, 0, entries.size - 1).astype(np.intp)]
    return found


def _padding(dataset: Dataset, stored: FloatArray) -> NDArray[np.bool_] | None:
    """Return which codes mark what lies outside the film."""
    first = _number(dataset, "PixelPaddingValue")
    if first is None:
        return None
    last = _number(dataset, "PixelPaddingRangeLimit")
    # The element may be read as signed where the pixels are not; its bits are what counts.
    ends = [stored[int(value) & (stored.size - 1)] for value in (first, first if last is None else last)]
    outside: NDArray[np.bool_] = (stored >= min(ends)) & (stored <= max(ends))
    return outside
