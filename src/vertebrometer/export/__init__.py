"""Results for others: overlay pictures, one table for many films, files written whole or not at all."""

from vertebrometer.export.files import cannot_write, remove_leftovers, write_bytes, write_text
from vertebrometer.export.overlay import band_colour, draw_overlay, overlay_png
from vertebrometer.export.tables import COLUMNS, measurements_csv, rows

__all__ = [
    "COLUMNS",
    "band_colour",
    "cannot_write",
    "draw_overlay",
    "measurements_csv",
    "overlay_png",
    "remove_leftovers",
    "rows",
    "write_bytes",
    "write_text",
]
