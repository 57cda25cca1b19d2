"""Reads lateral spine radiographs and measures how far vertebral bodies are compressed.

Research use only.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_PUBLIC = {
    "FilmReport": "vertebrometer.report",
    "PhantomSettings": "vertebrometer.phantom",
    "Radiograph": "vertebrometer.radiographs",
    "SixPoints": "vertebrometer.anatomy",
    "Vertebra": "vertebrometer.anatomy",
    "VertebrometerError": "vertebrometer.errors",
    "make_phantom": "vertebrometer.phantom",
    "measure": "vertebrometer.pipeline",
    "read_radiograph": "vertebrometer.radiographs",
}
__all__ = sorted([*_PUBLIC, "__version__"])  # noqa: PLE0605 (a list, sorted)


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that ``import vertebrometer`` stays light."""
    try:
        room = _PUBLIC[name]
    except KeyError:
        msg = f"module 'vertebrometer' has no attribute {name!r}"
        raise AttributeError(msg) from None
    return getattr(import_module(room), name)
