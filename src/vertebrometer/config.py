"""Settings are frozen dataclasses; one function reads any of them from TOML."""

from __future__ import annotations

import dataclasses
import tomllib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from vertebrometer.errors import SettingsError

SettingsT = TypeVar("SettingsT")


def read_settings(path: Path, settings: type[SettingsT]) -> SettingsT:
    """Read one group of settings from a TOML file; what is not given keeps its default.

    Raises
    ------
    SettingsError
        The file is missing or no TOML, a key is unknown, or a value has the
        wrong type or is out of range. The message names the key.
    """
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        msg = f"no settings file {path}"
        raise SettingsError(msg) from None
    except OSError as error:
        msg = f"{path.name} cannot be read: {error.strerror or type(error).__name__}"
        raise SettingsError(msg) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path.name} is not valid TOML: {error}"
        raise SettingsError(msg) from error
    return settings_from(given, settings, where=path.name)


def settings_from(given: dict[str, Any], settings: type[SettingsT], *, where: str = "settings") -> SettingsT:
    """Make a settings value of a plain mapping; tables become nested settings."""
    fields = {field.name: field for field in dataclasses.fields(settings)}  # type: ignore[arg-type]
    hints = typing.get_type_hints(settings)
    unknown = sorted(set(given) - set(fields))
    if unknown:
        msg = f"{where}: unknown key {unknown[0]!r}; known are {', '.join(sorted(fields))}"
        raise SettingsError(msg)
    values = {key: _converted(value, hints[key], where=f"{where}: {key}") for key, value in given.items()}
    try:
        return settings(**values)
    except SettingsError:
        raise
    except (TypeError, ValueError) as error:
        msg = f"{where}: {error}"
        raise SettingsError(msg) from error


def settings_as_dict(settings: Any) -> dict[str, Any]:
    """Return settings as plain JSON-ready values, nested tables as dictionaries."""
    plain: dict[str, Any] = _plain(dataclasses.asdict(settings))
    return plain


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, Path):
        return value.as_posix()
    return value


def _converted(value: Any, hint: Any, *, where: str) -> Any:  # noqa: PLR0911 (one way out per kind of hint)
    """Check `value` against the annotation `hint`, turning tables, paths and lists into theirs."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        choices = [choice for choice in arguments if choice is not type(None)]
        if value is None and len(choices) < len(arguments):
            return None
        return _converted(value, choices[0], where=where)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise _wrong(value, "a list", where)
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_converted(item, arguments[0], where=where) for item in value)
        if len(value) != len(arguments):
            raise _wrong(value, f"a list of {len(arguments)} values", where)
        return tuple(_converted(item, kind, where=where) for item, kind in zip(value, arguments, strict=True))
    if origin is typing.Literal:
        if value not in arguments:
            raise _wrong(value, f"one of {', '.join(map(repr, arguments))}", where)
        return value
    if dataclasses.is_dataclass(hint):
        if dataclasses.is_dataclass(value):
            return value
        if not isinstance(value, dict):
            raise _wrong(value, "a table", where)
        return settings_from(value, typing.cast("type[Any]", hint), where=where)
    return _scalar(value, hint, where=where)


def _scalar(value: Any, hint: Any, *, where: str) -> Any:
    if hint is Path and isinstance(value, (str, Path)):
        return Path(value)
    if hint is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint in (str, bool) and isinstance(value, hint):
        return value
    raise _wrong(value, getattr(hint, "__name__", str(hint)), where)


def _wrong(value: Any, wanted: str, where: str) -> SettingsError:
    return SettingsError(f"{where}: wanted {wanted}, got {value!r}")
