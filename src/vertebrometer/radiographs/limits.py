"""How large and how small a film may be; asked before anything is decoded."""

from __future__ import annotations

from typing import Final

from vertebrometer.errors import DamagedImageError, ImageTooLargeError, ImageTooSmallError

# A stitched whole-spine film at 0.1 mm has about 4,300 x 12,000 pixels.
MAX_SIDE_PX: Final = 16_384
MAX_PIXELS: Final = 80_000_000
MIN_SIDE_PX: Final = 64
# Enough for three 16-bit channels of the largest film, and a header.
MAX_FILE_BYTES: Final = 6 * MAX_PIXELS + 64 * 1024**2


def check_size(rows: int, cols: int) -> None:
    """Refuse a film by the size that its header states."""
    if rows <= 0 or cols <= 0:
        msg = f"the header states {cols} x {rows} pixels; a film needs some of both, export it again"
        raise DamagedImageError(msg)
    if max(rows, cols) > MAX_SIDE_PX or rows * cols > MAX_PIXELS:
        msg = (
            f"the image has {cols} x {rows} pixels; at most {MAX_SIDE_PX} a side and "
            f"{MAX_PIXELS // 10**6} million in all are read. Export the film at its own size"
        )
        raise ImageTooLargeError(msg)
    if min(rows, cols) < MIN_SIDE_PX:
        msg = (
            f"the image has {cols} x {rows} pixels; at least {MIN_SIDE_PX} a side are wanted. "
            "Give the film itself, not its thumbnail"
        )
        raise ImageTooSmallError(msg)


def check_file_bytes(count: int) -> None:
    """Refuse a file too large to hold one film, before it is loaded."""
    if count > MAX_FILE_BYTES:
        msg = f"the file has {count / 1e6:.0f} MB; a single film needs at most {MAX_FILE_BYTES / 1e6:.0f} MB"
        raise ImageTooLargeError(msg)
