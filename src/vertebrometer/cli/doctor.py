"""``vertebrometer doctor``: whether everything is here that measuring needs."""

from __future__ import annotations

import os
import platform
from importlib.util import find_spec
from typing import TYPE_CHECKING, Final

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

# What measuring imports, and the package that brings it.
NEEDED: Final = {
    "numpy": "numpy",
    "scipy": "scipy",
    "pydicom": "pydicom",
    "gdcm": "python-gdcm",
    "pylibjpeg": "pylibjpeg",
    "openjpeg": "pylibjpeg-openjpeg",
    "rle": "pylibjpeg-rle",
    "jpeg_ls": "pyjpegls",
    "PIL": "pillow",
    "cv2": "opencv-python-headless",
    "onnxruntime": "onnxruntime",
    "typer": "typer",
    "rich": "rich",
}
EXTRAS: Final = {
    "train": {"torch": "torch", "lightning_fabric": "lightning-fabric", "onnx": "onnx", "nibabel": "nibabel"},
    "dicom": {"highdicom": "highdicom", "pynetdicom": "pynetdicom", "dicomweb_client": "dicomweb-client"},
    "pacs": {"sqlalchemy": "sqlalchemy", "alembic": "alembic", "prometheus_client": "prometheus-client"},
    "anonymise": {"dicomanonymizer": "dicom-anonymizer"},
}


def doctor() -> None:
    """Say what is installed, which weights there are and whether they are intact.

    Exit status 1 when something that measuring needs is missing or broken.
    """
    from vertebrometer import __version__

    typer.echo(f"vertebrometer {__version__}")
    typer.echo(f"python {platform.python_version()}, {platform.system()} {platform.machine()}")
    typer.echo(f"{cores()} cores, {memory()} memory")
    problems = [*_check_needed(), *_check_weights()]
    _tell_extras()
    typer.echo("")
    if problems:
        for problem in problems:
            typer.echo(f"broken: {problem}")
        raise typer.Exit(1)
    typer.echo("All that measuring needs is here. Research use only.")


def cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory() -> str:
    """Return the memory of this machine in words."""
    try:
        gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        return "unknown"
    return f"{gigabytes:.1f} GB"


def version_of(package: str) -> str | None:
    """Return the version of an installed package, or None."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _check_needed() -> Iterator[str]:
    from importlib import import_module

    typer.echo("\nneeded for measuring")
    for module, package in NEEDED.items():
        try:
            import_module(module)
        except ImportError as error:
            state = "is missing" if isinstance(error, ModuleNotFoundError) else "does not load"
            typer.echo(f"  {package:<24} {state}")
            yield f"{package} {state}: pip install --force-reinstall {package}"
        else:
            typer.echo(f"  {package:<24} {version_of(package) or 'unknown version'}")


def _check_weights() -> Iterator[str]:
    from vertebrometer.errors import VertebrometerError

    typer.echo("\nweights")
    try:
        from vertebrometer.runtime import WeightState, check_weights

        checks = check_weights()
    except (VertebrometerError, ImportError) as error:
        typer.echo(f"  {error}")
        yield f"the weights cannot be checked: {error}"
        return
    for check in checks:
        typer.echo(f"  {check.name:<24} {check.state.value}, {check.size_bytes / 1e6:.1f} MB")
        if check.state in (WeightState.MISSING, WeightState.DAMAGED):
            yield f"the weights {check.name} are {check.state.value}: reinstall vertebrometer"
    if not checks:
        typer.echo("  none")
        yield "no weights are installed: reinstall vertebrometer"


def _tell_extras() -> None:
    typer.echo("\noptional")
    for extra, packages in EXTRAS.items():
        absent = [package for module, package in packages.items() if find_spec(module) is None]
        if absent:
            typer.echo(
                f"  {extra:<24} not installed ({', '.join(absent)}): pip install 'vertebrometer[{extra}]'"
            )
        else:
            shown = ", ".join(f"{package} {version_of(package)}" for package in packages.values())
            typer.echo(f"  {extra:<24} {shown}")
