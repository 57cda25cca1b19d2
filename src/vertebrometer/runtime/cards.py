"""Model cards: how a network wants to be fed and what it saw; they travel inside the weight file."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from vertebrometer.config import settings_as_dict, settings_from
from vertebrometer.errors import SettingsError, WeightsError

CARD_KEY: Final = "vertebrometer.card"
"""Where the card lies among the metadata of an ONNX file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputCard:
    """The images that a network was trained to see."""

    scale: Literal["mm", "body", "canvas"]
    """What fixes the size of things: mm per pixel, pixels per body, or a film fitted into a square."""
    rows_px: int | None = None
    """None where any multiple of `multiple_of_px` will do."""
    cols_px: int | None = None
    multiple_of_px: int = 1
    channels: int = 1
    pixel_mm: float | None = None
    """Size of a pixel, for the scale "mm"."""
    body_px: float | None = None
    """How large a body stands in the image, for the scale "body"."""
    clahe_clip: float | None = None
    """Clip limit of the contrast step on the un-padded film; None where there is none."""
    clahe_tiles: int = 8
    grey: str = "0 is air-dark, 1 is bone-bright"
    """What the numbers of the image mean after preprocessing."""

    def __post_init__(self) -> None:
        needed = {"mm": self.pixel_mm, "body": self.body_px, "canvas": self.rows_px}[self.scale]
        if needed is None:
            wanted = {"mm": "pixel_mm", "body": "body_px", "canvas": "rows_px"}[self.scale]
            msg = f"an input of scale {self.scale!r} needs {wanted}"
            raise ValueError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedOn:
    """One source of the training samples."""

    name: str
    terms: str
    films: int | None = None
    """How many; None where films are made without end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCard:
    """What one weight file is."""

    name: str
    version: str
    architecture: str
    parameters: int
    input: InputCard
    outputs: tuple[str, ...]
    trained_on: tuple[TrainedOn, ...]
    terms: str
    """Under which terms the weights may be used."""
    package_version: str
    created: str
    """Date and time, UTC, ISO 8601."""
    weights_as: Literal["float32", "float16", "int8"] = "float32"
    """How the numbers are stored. float16 is computed with as float32, int8 as whole numbers."""
    torch_difference: float | None = None
    """Largest difference to torch, on random input, before weights were brought to int8."""
    float_difference: float | None = None
    """Of int8: the RMS by which the output that suffers most differs from float32, as a share of its SD."""
    network: dict[str, Any] = field(default_factory=dict)
    """Settings of the network."""
    metrics: dict[str, float] = field(default_factory=dict)
    """What it scored on validation films."""
    notes: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return the card as plain JSON-ready values; what is not stated is left out."""
        return stated(settings_as_dict(self))

    def as_json(self) -> str:
        """Return the card as JSON, keys in a fixed order."""
        return json.dumps(self.as_dict(), indent=2, sort_keys=True)


def stated(values: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is None, also in nested tables; TOML and our settings have no word for it."""
    return {
        name: stated(value) if isinstance(value, dict) else value
        for name, value in values.items()
        if value is not None
    }


_FREE_FORM: Final = ("network", "metrics")


def read_card(text: str, *, where: str) -> ModelCard:
    """Read a card as `ModelCard.as_json` writes it.

    Raises
    ------
    WeightsError
        It lacks a field, has an unknown one or a wrong value; the message names `where`.
    """
    way_out = "the file was made for another version of vertebrometer; reinstall it"
    try:
        given: dict[str, Any] = json.loads(text)
        free: dict[str, Any] = {name: dict(given.pop(name, {})) for name in _FREE_FORM}
        given["trained_on"] = tuple(stated(source) for source in given.get("trained_on", ()))
        return dataclasses.replace(settings_from(given, ModelCard, where="model card"), **free)
    except (ValueError, TypeError, AttributeError, SettingsError) as error:
        msg = f"the model card in {where} cannot be read ({error}); {way_out}"
        raise WeightsError(msg) from error
