"""The likeliest tokens at each place of a text, which the pipeline of OpenVINO GenAI does not tell.

The same model once more, as OpenVINO alone runs it: it takes as much memory again for its weights, so it is loaded when
it is first asked for.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino

CHUNK = 64  # tokens computed at once: each has a logit for every entry of the vocabulary

Likeliest = tuple[tuple[int, float], ...]
"""Tokens with their natural logarithmic probabilities, the likeliest first."""


class Scorer:
    """A model that tells what may come next."""

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        """`settings` are OpenVINO's, those of the pipeline beside it. Raises RuntimeError where it cannot be loaded."""
        self._model = openvino.Core().compile_model(folder / "openvino_model.xml", "CPU", dict(settings))
        self._inputs = {name for one in self._model.inputs for name in one.names}

    def begin(self, most: int) -> "Scoring":
        """A text that begins, and whose `most` likeliest tokens are asked for."""
        return Scoring(self._model.create_infer_request(), self._inputs, most)


class Scoring:
    """A text so far."""

    def __init__(self, request: openvino.InferRequest, inputs: set[str], most: int) -> None:
        self._request = request
        self._inputs = inputs
        self._most = most
        self._length = 0

    def add(self, ids: Sequence[int]) -> list[Likeliest]:
        """Go on with these tokens; what was likeliest to come after each."""
        found: list[Likeliest] = []
        for begin in range(0, len(ids), CHUNK):
            found += self._infer(np.array([ids[begin : begin + CHUNK]], np.int64))
        return found

    def _infer(self, ids: np.ndarray) -> list[Likeliest]:
        size = ids.shape[1]
        self._length += size
        given = {
            "input_ids": ids,
            "attention_mask": np.ones((1, self._length), np.int64),
            "position_ids": np.arange(self._length - size, self._length, dtype=np.int64)[None],
            "beam_idx": np.zeros(1, np.int32),
        }
        self._request.infer({name: value for name, value in given.items() if name in self._inputs})
        logits = self._request.get_tensor("logits").data[0].astype(np.float64)
        logits -= logits.max(-1, keepdims=True)
        logits -= np.log(np.exp(logits).sum(-1, keepdims=True))
        most = min(self._most, logits.shape[-1])
        best = np.argpartition(-logits, most - 1, -1)[:, :most]
        rows = np.take_along_axis(logits, best, -1)
        return [
            tuple(sorted(zip(row.tolist(), values.tolist(), strict=True), key=lambda one: -one[1]))
            for row, values in zip(best, rows, strict=True)
        ]
