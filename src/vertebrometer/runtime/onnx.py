"""ONNX Runtime behind the `Predictor` protocol, on the CPU. The only file that imports it."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from vertebrometer.errors import WeightsError
from vertebrometer.runtime.cards import CARD_KEY, ModelCard, read_card


class OnnxPredictor:
    """A network in an ONNX file, ready to be called.

    Parameters
    ----------
    path : Path
        The file; its model card lies inside.
    threads : int
        CPU threads for one call; 0 takes one for each core.
    sha256 : str, optional
        Checksum that the file must have.

    Raises
    ------
    WeightsError
        The file is missing, damaged or carries no card.
    """

    def __init__(self, path: Path, *, threads: int = 0, sha256: str | None = None) -> None:
        content, self.sha256 = read_weights(path, sha256)
        self._name = path.name
        self._session = _session(content, threads, path.name)
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.card: ModelCard = _card(self._session, path.name)

    @property
    def multiple_of_px(self) -> int:
        """Rows and columns are multiples of this."""
        return self.card.input.multiple_of_px

    def __call__(self, batch: NDArray[np.float32], /) -> dict[str, NDArray[np.float32]]:
        """Map a batch (n, channels, rows, cols) to named outputs, each with n rows first."""
        self._check(batch)
        image = self._session.get_inputs()[0].name
        answers = self._session.run(self._outputs, {image: np.ascontiguousarray(batch, dtype=np.float32)})
        return dict(zip(self._outputs, answers, strict=True))

    def _check(self, batch: NDArray[np.float32]) -> None:
        wanted = self.card.input
        if batch.ndim != 4 or batch.shape[1] != wanted.channels:
            msg = f"{self._name} wants a batch of shape (n, {wanted.channels}, rows, cols), got {batch.shape}"
            raise ValueError(msg)
        for side, fixed, name in zip(
            batch.shape[2:], (wanted.rows_px, wanted.cols_px), ("rows", "cols"), strict=True
        ):
            if fixed is not None and side != fixed:
                msg = f"{self._name} wants {fixed} {name}, got {side}"
                raise ValueError(msg)
            if side % wanted.multiple_of_px or side == 0:
                step = wanted.multiple_of_px
                msg = f"{self._name} wants {name} in multiples of {step}, got {side}; pad the image"
                raise ValueError(msg)


def read_weights(path: Path, sha256: str | None = None) -> tuple[bytes, str]:
    """Read a weight file, and check it where its checksum is known; return content and checksum."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        msg = f"the weight file {path.name} is missing; reinstall vertebrometer"
        raise WeightsError(msg) from None
    seen = hashlib.sha256(content).hexdigest()
    if sha256 is not None and seen != sha256:
        msg = f"the weight file {path.name} is damaged (its checksum differs); reinstall vertebrometer"
        raise WeightsError(msg)
    return content, seen


def _session(content: bytes, threads: int, name: str) -> onnxruntime.InferenceSession:
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Waiting threads that spin take the cores that other films are read with.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime raises kinds of its own that share no public base
        msg = f"the weight file {name} is no network that ONNX Runtime can load; reinstall vertebrometer"
        raise WeightsError(msg) from error


def _card(session: onnxruntime.InferenceSession, name: str) -> ModelCard:
    text = session.get_modelmeta().custom_metadata_map.get(CARD_KEY)
    if text is None:
        msg = f"the weight file {name} carries no model card; export it with vertebrometer"
        raise WeightsError(msg)
    return read_card(text, where=name)
