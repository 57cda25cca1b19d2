"""Films and broken files, made on the fly; every patient in them is called as below."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ComputedRadiographyImageStorage,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

PATIENT_NAME = "Spinelli^Quentina"
PATIENT_ID = "ZQX-4711"
PATIENT_WORDS = ("spinelli", "quentina", "zqx", "4711", "9998887776", "18991231")

ROWS, COLS = 160, 96


def spine(rows: int = ROWS, cols: int = COLS, *, bits: int = 12) -> np.ndarray:
    """Draw a column of bright blocks in grey tissue with dark air beside it."""
    r, c = np.mgrid[:rows, :cols].astype(float)
    across = np.clip(1 - ((c - cols / 2) / (0.42 * cols)) ** 2, 0, None)
    tissue = 0.55 * np.sqrt(across)
    bodies = (np.abs(c - cols / 2) < 0.1 * cols) & (np.mod(r, rows / 8) < 0.7 * rows / 8)
    film = tissue + 0.3 * bodies + 0.02 * np.sin(r / 3) * (across > 0)
    kind = np.uint8 if bits <= 8 else np.uint16
    return np.rint(np.clip(0.03 + film, 0, 1) * (2**bits - 1)).astype(kind)


def dataset(pixels: np.ndarray | None = None, *, bits: int = 12, **elements: Any) -> Dataset:
    """Make a sound CR film; `elements` are set by keyword, None removes one."""
    pixels = spine(bits=bits) if pixels is None else pixels
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID = ComputedRadiographyImageStorage
    ds.SOPInstanceUID = generate_uid(prefix="1.2.826.9998887776.")
    ds.PatientName, ds.PatientID, ds.PatientBirthDate = PATIENT_NAME, PATIENT_ID, "18991231"
    ds.AccessionNumber = "ACC-4711"
    ds.Modality = "CR"
    ds.Rows, ds.Columns = pixels.shape[:2]
    ds.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    ds.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    if pixels.ndim == 3:
        ds.PlanarConfiguration = 0
    ds.BitsAllocated = 8 * pixels.dtype.itemsize
    ds.BitsStored = min(bits, ds.BitsAllocated)
    ds.HighBit = ds.BitsStored - 1
    ds.PixelRepresentation = int(pixels.dtype.kind == "i")
    ds.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    ds["PixelData"].VR = "OB" if pixels.dtype.itemsize == 1 else "OW"
    for keyword, value in elements.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    return ds


def capture(pixels: np.ndarray, **elements: Any) -> Dataset:
    """Make a secondary capture."""
    return dataset(pixels, bits=8, SOPClassUID=SecondaryCaptureImageStorage, Modality="OT", **elements)


def item(**elements: Any) -> Dataset:
    """Make a sequence item."""
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def save(ds: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian) -> Path:
    """Write a data set in an uncompressed transfer syntax, with preamble and meta group."""
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    if not ds.file_meta.TransferSyntaxUID.is_encapsulated:
        ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(path, enforce_file_format=True)
    return path


def compressed(path: Path, kind: str, *, bits: int = 12) -> Path:
    """Write the spine in a compressed transfer syntax; `kind` is a name of GDCM or of pydicom."""
    direct = {"RLE": RLELossless, "JPEG-LS": JPEGLSLossless, "JPEG 2000": JPEG2000Lossless}
    ds = dataset(bits=bits)
    if kind in direct:
        ds.compress(direct[kind], generate_instance_uid=False)
        return save(ds, path)
    import gdcm

    plain = save(ds, path.with_suffix(".plain"))
    reader = gdcm.ImageReader()
    reader.SetFileName(str(plain))
    assert reader.Read()
    change = gdcm.ImageChangeTransferSyntax()
    change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, kind)))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer = gdcm.ImageWriter()
    writer.SetFileName(str(path))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    plain.unlink()
    return path


def encapsulated(frame: bytes, syntax: str, **elements: Any) -> Dataset:
    """Make a data set round a compressed frame as it is."""
    ds = dataset(bits=8, **elements)
    ds.file_meta.TransferSyntaxUID = syntax
    ds.PixelData = encapsulate([frame])
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    return ds


def jpeg_bytes(pixels: np.ndarray | None = None) -> bytes:
    """Encode as baseline JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(spine(bits=8) if pixels is None else pixels).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def png_bytes(pixels: np.ndarray, **options: Any) -> bytes:
    """Encode as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", **options)
    return buffer.getvalue()


def png_by_hand(rows: int, cols: int, bits: int, colour: int, raw: bytes) -> bytes:
    """Write a PNG of any header, true or not."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", cols, rows, bits, colour, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(raw))
        + chunk(b"IEND", b"")
    )


def tiff_by_hand(tags: dict[int, tuple[int, int]], body: bytes = b"") -> bytes:
    """Write a little-endian TIFF of one directory; tags are {tag: (type, value)}."""
    out = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(tags))
    for tag, (kind, value) in sorted(tags.items()):
        out += struct.pack("<HHII", tag, kind, 1, value)
    return out + struct.pack("<I", 0) + body


def photograph(rows: int = ROWS, cols: int = COLS) -> np.ndarray:
    """Draw blue sky over a green meadow with a red house."""
    rgb = np.zeros((rows, cols, 3), np.uint8)
    rgb[: rows // 2] = (90, 140, 230)
    rgb[rows // 2 :] = (60, 160, 50)
    rgb[rows // 3 : rows // 2, cols // 3 : cols // 2] = (200, 40, 30)
    return (rgb + np.random.default_rng(0).integers(0, 20, rgb.shape)).astype(np.uint8)
