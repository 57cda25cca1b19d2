"""Facts about settings: what is misspelt, mistyped or out of range is told by name."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest

from vertebrometer.config import read_settings, settings_as_dict, settings_from
from vertebrometer.errors import SettingsError


@dataclass(frozen=True, kw_only=True)
class Inner:
    width: int = 64
    rate: float = 1e-3

    def __post_init__(self) -> None:
        if self.width < 1:
            msg = f"width must be at least 1, got {self.width}"
            raise ValueError(msg)


@dataclass(frozen=True, kw_only=True)
class Outer:
    name: str
    inner: Inner = field(default_factory=Inner)
    folders: tuple[Inner, ...] = ()
    pair: tuple[float, float] = (1.0, 2.0)
    out: Path = Path("runs")
    kind: Literal["a", "b"] = "a"
    limit: float | None = None
    on: bool = False


def written(tmp_path, text):
    path = tmp_path / "some.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_what_is_not_given_keeps_its_default(tmp_path):
    path = written(tmp_path, 'name = "x"\nlimit = 3\n[inner]\nwidth = 8\n[[folders]]\nrate = 1\n')
    assert read_settings(path, Outer) == Outer(
        name="x", limit=3.0, inner=Inner(width=8), folders=(Inner(rate=1.0),)
    )


def test_settings_survive_json():
    settings = Outer(name="x", out=Path("a/b"), folders=(Inner(width=2),), pair=(3.0, 4.0))
    assert settings_from(json.loads(json.dumps(settings_as_dict(settings))), Outer) == settings


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('name = "x"\nwidht = 3', "widht.*known are.*inner"),
        ('name = "x"\n[inner]\nwidht = 3', "inner.*widht.*width"),
        ("name = 3", "name: wanted str, got 3"),
        ('name = "x"\non = 1', "on: wanted bool"),
        ('name = "x"\n[inner]\nwidth = 1.5', "width: wanted int, got 1.5"),
        ('name = "x"\n[inner]\nwidth = true', "width: wanted int, got True"),
        ('name = "x"\n[inner]\nwidth = 0', "at least 1, got 0"),
        ('name = "x"\npair = [1.0]', "pair: wanted a list of 2"),
        ('name = "x"\npair = 1.0', "pair: wanted a list"),
        ('name = "x"\nkind = "c"', "kind: wanted one of 'a', 'b'"),
        ('name = "x"\ninner = 3', "inner: wanted a table"),
        ("on = true", "name"),
        ("name = ", "not valid TOML"),
    ],
)
def test_mistakes_are_told_by_name(tmp_path, text, told):
    with pytest.raises(SettingsError, match=told):
        read_settings(written(tmp_path, text), Outer)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(SettingsError, match="no settings file"):
        read_settings(tmp_path / "none.toml", Outer)


def test_the_shipped_profiles_are_sound():
    pytest.importorskip("torch")
    from vertebrometer.experiment.settings import ExperimentSettings
    from vertebrometer.training.joint import JointSettings
    from vertebrometer.training.run import CornerSettings, PointsSettings, SegmentationSettings

    configs = Path(__file__).parents[2] / "configs"
    kinds = {
        "points": PointsSettings,
        "corners": CornerSettings,
        "bodies": JointSettings,
        "experiment": ExperimentSettings,
    }
    for path in configs.glob("*.toml"):
        read_settings(path, kinds.get(path.name.split("-")[0], SegmentationSettings))
