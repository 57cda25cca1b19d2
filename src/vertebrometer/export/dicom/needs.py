"""Whether the libraries of an extra are there."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Final

from vertebrometer.errors import MissingExtraError

_MODULES: Final = {
    "dicom": {"highdicom": "highdicom", "pynetdicom": "pynetdicom", "dicomweb_client": "dicomweb-client"},
}


def require_extra(extra: str = "dicom", *, to: str = "writing DICOM results") -> None:
    """Refuse to go on where a library of the extra is missing.

    Raises
    ------
    MissingExtraError
        Naming what to install.
    """
    missing = [package for module, package in _MODULES[extra].items() if find_spec(module) is None]
    if missing:
        msg = f"{to} needs {', '.join(missing)}: pip install 'vertebrometer[{extra}]'"
        raise MissingExtraError(msg)
