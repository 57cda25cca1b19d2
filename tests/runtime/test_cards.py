"""Facts about model cards."""

import json

import pytest

from vertebrometer.errors import WeightsError
from vertebrometer.runtime import InputCard, read_card


def test_a_card_survives_the_way_into_a_file_and_back(card):
    assert read_card(card.as_json(), where="bodies.onnx") == card


@pytest.mark.parametrize(
    "spoil",
    [
        lambda card: card.pop("terms"),
        lambda card: card.update(colour="blue"),
        lambda card: card.update(parameters="many"),
        lambda card: card["input"].update(scale="inch"),
        lambda card: card.update(metrics=3),
        lambda card: card.update(trained_on=["films"]),
    ],
)
def test_a_card_that_is_not_as_documented_is_refused_by_file_name(card, spoil):
    plain = json.loads(card.as_json())
    spoil(plain)
    with pytest.raises(WeightsError, match=r"model card in bodies\.onnx cannot be read"):
        read_card(json.dumps(plain), where="bodies.onnx")


@pytest.mark.parametrize("text", ["", "[]", "null", '"card"', "{"])
def test_text_that_is_no_card_is_refused(text):
    with pytest.raises(WeightsError, match="cannot be read"):
        read_card(text, where="bodies.onnx")


@pytest.mark.parametrize(
    ("scale", "needed"), [("mm", "pixel_mm"), ("body", "body_px"), ("canvas", "rows_px")]
)
def test_a_scale_without_its_size_is_refused(scale, needed):
    with pytest.raises(ValueError, match=f"needs {needed}"):
        InputCard(scale=scale)
