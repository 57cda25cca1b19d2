"""A DICOM node: films come in, are measured, and results go back. Needs the extra ``pacs``."""

from importlib.util import find_spec

from vertebrometer.errors import MissingExtraError

_missing = [
    package
    for module, package in {
        "pynetdicom": "pynetdicom",
        "highdicom": "highdicom",
        "dicomweb_client": "dicomweb-client",
        "sqlalchemy": "sqlalchemy",
        "alembic": "alembic",
        "prometheus_client": "prometheus-client",
    }.items()
    if find_spec(module) is None
]
if _missing:
    _msg = f"the DICOM node needs {', '.join(_missing)}: pip install 'vertebrometer[pacs]'"
    raise MissingExtraError(_msg)

# The message above must come before what would fail without the extra.
# ruff: noqa: E402
from vertebrometer.listener.measuring import Measured, MeasureFilm, OpenMeasure
from vertebrometer.listener.node import serve
from vertebrometer.listener.settings import MeasureOptions, NodeSettings, read_node_settings

__all__ = [
    "MeasureFilm",
    "MeasureOptions",
    "Measured",
    "NodeSettings",
    "OpenMeasure",
    "read_node_settings",
    "serve",
]
