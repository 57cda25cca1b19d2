"""Facts about the weights that come with the package."""

import pytest

from vertebrometer.errors import UnknownNameError, WeightsError
from vertebrometer.runtime import WeightState, check_weights, open_weights, shipped_weights, write_manifest


@pytest.fixture
def shipped(tmp_path, write_identity):
    write_identity("bodies.onnx")
    write_identity("points.onnx")
    write_manifest(tmp_path)
    return tmp_path


def test_shipped_weights_are_known_by_name_and_open(shipped):
    assert list(shipped_weights(shipped)) == ["bodies", "points"]
    assert open_weights("bodies", threads=1, folder=shipped).card.name == "identity"
    assert {check.state for check in check_weights(shipped)} == {WeightState.INTACT}


def test_damage_is_seen_before_the_weights_are_used(shipped):
    with (shipped / "bodies.onnx").open("r+b") as file:
        file.seek(20)
        file.write(b"\x00")
    (shipped / "points.onnx").unlink()
    (shipped / "stray.onnx").write_bytes(b"?")
    assert {check.name: check.state for check in check_weights(shipped)} == {
        "bodies": WeightState.DAMAGED,
        "points": WeightState.MISSING,
        "stray": WeightState.UNLISTED,
    }
    with pytest.raises(WeightsError, match="damaged"):
        open_weights("bodies", folder=shipped)
    with pytest.raises(WeightsError, match="missing"):
        open_weights("points", folder=shipped)


def test_unknown_weights_are_refused_with_the_known_ones(shipped):
    with pytest.raises(UnknownNameError, match="known are bodies, points"):
        open_weights("heart", folder=shipped)


@pytest.mark.parametrize("text", [None, "", "[]", '{"files": {}}', '{"sha256": 3}'])
def test_without_a_sound_list_nothing_is_trusted(tmp_path, text):
    if text is not None:
        (tmp_path / "manifest.json").write_text(text)
    for ask in (shipped_weights, check_weights):
        with pytest.raises(WeightsError, match="reinstall"):
            ask(tmp_path)
