"""Everything vertebrometer raises on purpose.

Each error has a short `code` that a machine can read; it is also the reason
written beside a film that was not measured.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import ClassVar


class VertebrometerError(Exception):
    """Base of all deliberate errors; an edge of the program may catch it."""

    code: ClassVar[str] = "error"


class UnreadableFileError(VertebrometerError):
    """The file is no image that we read, or it is damaged."""

    code: ClassVar[str] = "unreadable_file"


class MissingFileError(UnreadableFileError):
    """There is no file of that name."""

    code: ClassVar[str] = "missing_file"


class ForbiddenFileError(UnreadableFileError):
    """The file is there, but we may not read it."""

    code: ClassVar[str] = "forbidden_file"


class NotAFileError(UnreadableFileError):
    """A folder, a pipe or a device where a file was expected."""

    code: ClassVar[str] = "not_a_file"


class EmptyFileError(UnreadableFileError):
    """The file has no bytes."""

    code: ClassVar[str] = "empty_file"


class UnknownFormatError(UnreadableFileError):
    """No DICOM, PNG, JPEG or TIFF."""

    code: ClassVar[str] = "unknown_format"


class DamagedImageError(UnreadableFileError):
    """The image inside the file is corrupt or contradicts its own header."""

    code: ClassVar[str] = "damaged_image"


class TruncatedFileError(UnreadableFileError):
    """The file ends before its image does."""

    code: ClassVar[str] = "truncated_file"


class UnsupportedImageError(VertebrometerError):
    """A sound image, but not of a kind that can be measured."""

    code: ClassVar[str] = "unsupported_image"


class NoImageError(UnsupportedImageError):
    """A DICOM object without pixels: a report, a document, a directory."""

    code: ClassVar[str] = "no_image"


class UnsupportedPixelsError(UnsupportedImageError):
    """Pixels of a kind that no radiograph has: 1 bit, floating point, CMYK, transparent."""

    code: ClassVar[str] = "unsupported_pixels"


class MultiFrameError(UnsupportedImageError):
    """More than one frame where one film was expected."""

    code: ClassVar[str] = "multi_frame"


class NotARadiographError(UnsupportedImageError):
    """CT, MR, ultrasound, a photograph: no projection radiograph."""

    code: ClassVar[str] = "not_a_radiograph"


class PhotographError(NotARadiographError):
    """An image in real colour."""

    code: ClassVar[str] = "photograph"


class WrongViewError(UnsupportedImageError):
    """The file says that it is no lateral view."""

    code: ClassVar[str] = "wrong_view"


class WrongBodyPartError(WrongViewError):
    """The file says that it shows a part of the body without a spine in it."""

    code: ClassVar[str] = "wrong_body_part"


class ImageTooLargeError(UnsupportedImageError):
    """More pixels than any spine film has; refused before they are decoded."""

    code: ClassVar[str] = "image_too_large"


class ImageTooSmallError(UnsupportedImageError):
    """Too few pixels to measure anything on."""

    code: ClassVar[str] = "image_too_small"


class BlankImageError(UnsupportedImageError):
    """Every pixel has the same value."""

    code: ClassVar[str] = "blank_image"


class MissingDecoderError(VertebrometerError):
    """The pixels are compressed in a way for which no decoder is installed."""

    code: ClassVar[str] = "missing_decoder"


class SettingsError(VertebrometerError):
    """A setting is unknown, of the wrong type or out of range."""

    code: ClassVar[str] = "bad_settings"


class WeightsError(VertebrometerError):
    """A weight file is missing, damaged or made for another version."""

    code: ClassVar[str] = "bad_weights"


class TruthFileError(VertebrometerError):
    """A truth file does not have the documented form."""

    code: ClassVar[str] = "bad_truth_file"


class ReportFormatError(VertebrometerError):
    """A report file does not have the documented form."""

    code: ClassVar[str] = "bad_report"


class OutputError(VertebrometerError):
    """Results cannot be written: no room, no permission, no folder."""

    code: ClassVar[str] = "cannot_write"


class UnknownNameError(VertebrometerError):
    """A name that is in no registry; the message lists the known ones."""

    code: ClassVar[str] = "unknown_name"

    def __init__(self, *, kind: str, name: str, known: Iterable[str]) -> None:
        self.kind, self.name, self.known = kind, name, tuple(sorted(known))
        super().__init__(f"unknown {kind} {name!r}; known are {', '.join(self.known)}")

    def __reduce__(self) -> tuple[partial[UnknownNameError], tuple[()]]:
        """Let it travel from a worker process, where it would otherwise hang or break the pool."""
        return partial(UnknownNameError, kind=self.kind, name=self.name, known=self.known), ()


class MissingExtraError(VertebrometerError):
    """A part of vertebrometer that is installed on demand is not there."""

    code: ClassVar[str] = "missing_extra"


class NoStudyError(VertebrometerError):
    """The film belongs to no DICOM study, so no result can be put beside it."""

    code: ClassVar[str] = "no_study"


class StoreError(VertebrometerError):
    """The store of films and jobs cannot be used."""

    code: ClassVar[str] = "store"


class StoreBusyError(StoreError):
    """Another process holds the store for too long; trying again later helps."""

    code: ClassVar[str] = "store_busy"


class StoreFullError(StoreError):
    """There is no room left on the disk that the store lies on."""

    code: ClassVar[str] = "store_full"


class ListenerError(VertebrometerError):
    """The DICOM node cannot start or go on."""

    code: ClassVar[str] = "listener"
