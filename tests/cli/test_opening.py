"""Facts about opening the networks once, and while other things are read."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from vertebrometer import pipeline, runtime
from vertebrometer.cli import opening
from vertebrometer.errors import WeightsError
from vertebrometer.pipeline import MeasureSettings


@pytest.fixture
def opened(monkeypatch):
    """Threads of the networks that were opened; 13 finds damaged weights."""
    calls = []

    def open_networks(*, threads):
        calls.append(threads)
        if threads == 13:
            raise WeightsError("points.onnx is damaged; reinstall vertebrometer")
        return f"networks of {threads} threads"

    def measurer(settings, *, networks):
        return SimpleNamespace(settings=settings, networks=networks)

    monkeypatch.setattr(runtime, "open_networks", open_networks)
    monkeypatch.setattr(pipeline, "Measurer", measurer)
    monkeypatch.setattr(opening, "_networks", {})
    monkeypatch.setattr(opening, "_measurers", {})
    return calls


def test_networks_are_opened_once_however_often_a_measurer_is_asked_for(opened):
    opening.open_early(2)
    opening.open_early(2)
    plain, forced = MeasureSettings(threads=2), MeasureSettings(threads=2, force=True)
    assert len({id(opening.open_measurer(plain)) for _ in range(3)}) == 1
    assert opening.open_measurer(forced).settings is forced
    assert opening.open_measurer(plain).networks == "networks of 2 threads"
    assert opening.open_measurer(MeasureSettings(threads=1)).networks == "networks of 1 threads"
    assert opened == [2, 1]


@pytest.mark.parametrize("early", [True, False])
def test_weights_that_cannot_be_opened_are_said_where_the_measurer_is_asked_for(opened, early):
    if early:
        opening.open_early(13)
    for _ in range(2):
        with pytest.raises(WeightsError, match=r"points\.onnx is damaged"):
            opening.open_measurer(MeasureSettings(threads=13))
    assert opened == [13]
