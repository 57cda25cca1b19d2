"""A network that answers with its input, as ONNX, written by hand: the tests need neither torch nor onnx."""

import pytest

from vertebrometer.runtime import InputCard, ModelCard, TrainedOn


def number(field, value):
    out = bytearray([field << 3])
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def message(field, *parts):
    body = b"".join(part.encode() if isinstance(part, str) else part for part in parts)
    size = number(0, len(body))[1:]
    return number(field, 0)[:1].replace(bytes([field << 3]), bytes([field << 3 | 2])) + size + body


def identity_onnx(card_text):
    """Field numbers are those of onnx.proto: ModelProto, GraphProto, NodeProto, ValueInfoProto."""
    dims = b"".join(message(1, message(2, name)) for name in ("n", "c", "rows", "cols"))
    kind = message(2, message(1, number(1, 1), message(2, dims)))
    image, mask = (message(1, name) + kind for name in ("image", "mask"))
    node = message(1, "image") + message(2, "mask") + message(4, "Identity")
    graph = message(1, node) + message(2, "identity") + message(11, image) + message(12, mask)
    card = b"" if card_text is None else message(14, message(1, "vertebrometer.card"), message(2, card_text))
    return number(1, 8) + message(7, graph) + message(8, message(1, ""), number(2, 17)) + card


@pytest.fixture
def card():
    return ModelCard(
        name="identity",
        version="1",
        architecture="unet",
        parameters=0,
        input=InputCard(scale="mm", pixel_mm=1.2, multiple_of_px=4, clahe_clip=2.0),
        outputs=("mask",),
        trained_on=(
            TrainedOn(name="phantoms", terms="Apache-2.0"),
            TrainedOn(name="films", terms="CC-BY-4.0", films=31),
        ),
        terms="Apache-2.0",
        package_version="0.1.0",
        created="2026-01-01T00:00:00+00:00",
        network={"name": "unet", "width": 16},
        metrics={"score": 0.9},
    )


@pytest.fixture
def write_identity(tmp_path, card):
    def write(name="bodies.onnx", card_text=card.as_json()):  # noqa: B008
        path = tmp_path / name
        path.write_bytes(identity_onnx(card_text))
        return path

    return write
