"""What the server reads of a model folder."""

import json
from pathlib import Path
from typing import Any

import pytest

from serving.model.folder import OPENVINO, read_model


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ({"max_position_embeddings": 2048}, 2048),
        ({"n_positions": 1024}, 1024),
        ({"text_config": {"max_position_embeddings": 512}}, 512),  # a model that reads pictures too
        ({}, None),
    ],
)
def test_the_context_is_known_by_any_of_its_names(tmp_path: Path, config: dict[str, Any], context: int | None) -> None:
    openvino = tmp_path / "openvino"
    openvino.mkdir()
    for file in OPENVINO:
        (openvino / file).touch()
    (openvino / "config.json").write_text(json.dumps(config))
    (tmp_path / "model.json").write_text(json.dumps({"id": "1", "created": "2026-11-21T09:30:00Z"}))
    assert read_model("parrot", tmp_path).context == context
