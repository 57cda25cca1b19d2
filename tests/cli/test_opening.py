"""Facts about opening the networks once, and while other things are read."""

from __future__ import annotations

import sys
import types

import pytest

from vertebrometer.cli import opening
from vertebrometer.errors import WeightsError


@pytest.fixture
def opened(monkeypatch):
    calls = []

    def measurer(settings):
        calls.append(settings)
        if settings == "damaged":
            raise WeightsError("points.onnx is damaged; reinstall vertebrometer")
        return f"measurer of {settings}"

    fake = types.ModuleType("vertebrometer.pipeline")
    fake.Measurer = measurer
    monkeypatch.setitem(sys.modules, "vertebrometer.pipeline", fake)
    monkeypatch.setattr(opening, "_open", {})
    return calls


def test_networks_are_opened_once_for_each_settings_however_often_they_are_asked_for(opened):
    opening.open_early("a")
    opening.open_early("a")
    assert {opening.open_measurer("a") for _ in range(3)} == {"measurer of a"}
    assert opening.open_measurer("b") == "measurer of b"
    assert opened == ["a", "b"]


@pytest.mark.parametrize("early", [True, False])
def test_weights_that_cannot_be_opened_are_said_where_the_measurer_is_asked_for(opened, early):
    if early:
        opening.open_early("damaged")
    for _ in range(2):
        with pytest.raises(WeightsError, match=r"points\.onnx is damaged"):
            opening.open_measurer("damaged")
    assert opened == ["damaged"]
