"""Facts about networks that ONNX Runtime runs."""

import hashlib

import numpy as np
import pytest

from vertebrometer.errors import WeightsError
from vertebrometer.runtime import OnnxPredictor


def test_a_network_maps_a_batch_to_named_outputs(write_identity, card):
    predictor = OnnxPredictor(write_identity(), threads=1)
    batch = np.random.default_rng(0).random((2, 1, 8, 12), dtype=np.float32)
    outputs = predictor(batch)
    assert list(outputs) == ["mask"]
    np.testing.assert_array_equal(outputs["mask"], batch)
    assert predictor.card == card


def test_an_image_that_is_stored_in_strides_is_read_rightly(write_identity):
    batch = np.arange(2 * 64, dtype=np.float32).reshape(2, 1, 8, 8)[:, :, ::2, ::2]
    np.testing.assert_array_equal(OnnxPredictor(write_identity(), threads=1)(batch)["mask"], batch)


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ((8, 8), r"\(n, 1, rows, cols\), got \(8, 8\)"),
        ((1, 3, 8, 8), r"got \(1, 3, 8, 8\)"),
        ((1, 1, 9, 8), "rows in multiples of 4, got 9"),
        ((1, 1, 8, 0), "cols in multiples of 4, got 0"),
    ],
)
def test_a_batch_of_the_wrong_shape_is_refused(write_identity, shape, words):
    predictor = OnnxPredictor(write_identity(), threads=1)
    with pytest.raises(ValueError, match=words):
        predictor(np.zeros(shape, dtype=np.float32))


def test_a_missing_weight_file_says_the_way_out(tmp_path):
    with pytest.raises(WeightsError, match=r"bodies\.onnx is missing; reinstall"):
        OnnxPredictor(tmp_path / "bodies.onnx")


def test_a_checksum_tells_a_damaged_file(write_identity):
    path = write_identity()
    good = hashlib.sha256(path.read_bytes()).hexdigest()
    OnnxPredictor(path, threads=1, sha256=good)
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(WeightsError, match="damaged"):
        OnnxPredictor(path, threads=1, sha256=good)


def test_a_file_that_is_no_network_is_refused(tmp_path):
    path = tmp_path / "bodies.onnx"
    path.write_bytes(b"not a network")
    with pytest.raises(WeightsError, match="no network"):
        OnnxPredictor(path, threads=1)


def test_a_network_without_a_card_is_refused(write_identity):
    with pytest.raises(WeightsError, match="no model card"):
        OnnxPredictor(write_identity(card_text=None), threads=1)
