"""A model folder, as the server needs it."""

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from mynah.bucket import MANIFESTS
from mynah.errors import MynahError
from serving.model.errors import RequestError
from serving.model.sampling import Sampling, read_fields
from serving.model.template import find_template

OPENVINO = ("openvino_model.xml", "openvino_model.bin", "openvino_tokenizer.xml", "openvino_detokenizer.xml")
# Which defaults the manifest's `generate` sets. Prompts, samples and seed are the caller's matter.
DEFAULTS = ("max_tokens", "temperature", "top_p", "top_k", "repetition_penalty")
CONTEXT = ("max_position_embeddings", "n_positions", "seq_length", "max_seq_len")  # its names in config.json


@dataclass(frozen=True)
class ServedModel:
    """A model folder, and the name that it is served by."""

    name: str
    id: str
    """The manifest's id: which of the bot's models this is."""
    created: int
    """Unix time."""
    openvino: Path
    context: int | None
    """Most tokens that prompt and text may have together; None where the model names no limit."""
    vocabulary: int | None
    """How many tokens there are; None where the model does not say."""
    chats: bool
    """Whether it has a chat template."""
    defaults: dict[str, Any]
    """Fields of Sampling."""


def read_model(name: str, folder: Path) -> ServedModel:
    """The model in `folder`, to be served as `name`.

    Raises MynahError where the manifest or a file is missing, or where a file's size is not the manifest's.
    """
    path = folder / MANIFESTS["models"]
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MynahError(
            f"{folder} has no {path.name}: it was never written whole; run mynah train {name}, or name a whole one"
        ) from None
    except (OSError, ValueError) as error:
        raise MynahError(f"{path} cannot be read ({error}): run mynah train {name}, or name a whole folder") from None
    openvino = folder / "openvino"
    for file in OPENVINO:
        if not (openvino / file).is_file():
            raise MynahError(f"{openvino} has no {file}: run mynah train {name} again, or name another folder")
    for file, facts in manifest.get("files", {}).items():
        size = (folder / file).stat().st_size if (folder / file).is_file() else None
        if file.startswith("openvino/") and size != facts["bytes"]:
            raise MynahError(f"{folder / file} has {size or 0} bytes, not {facts['bytes']}: copy the folder again")
    given = {key: value for key, value in manifest.get("generate", {}).items() if key in DEFAULTS}
    try:
        read_fields(Sampling, given)
    except RequestError as error:
        raise MynahError(f"{path}: generate.{error.message}") from None
    config = json.loads((openvino / "config.json").read_text(encoding="utf-8"))
    config |= config.get("text_config") or {}
    return ServedModel(
        name=name,
        id=manifest["id"],
        created=int(datetime.fromisoformat(manifest["created"]).timestamp()),
        openvino=openvino,
        context=next((config[key] for key in CONTEXT if isinstance(config.get(key), int)), None),
        vocabulary=config.get("vocab_size"),
        chats=find_template(openvino) is not None,
        defaults=given,
    )
