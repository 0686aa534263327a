"""The models of a server, by the names that clients ask for."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from serving.model.engine import Engine
from serving.model.errors import RequestError
from serving.model.folder import ServedModel


@dataclass(frozen=True)
class TextModel:
    """A model and the engine that writes with it."""

    served: ServedModel
    engine: Engine


Models: TypeAlias = Mapping[str, TextModel]


def find(models: Models, name: str, version: str | None = None) -> TextModel:
    """The model `name`. Raises RequestError 404 where it, or this version of it, is not here."""
    if name not in models:
        raise RequestError(
            404, f"no model {name} here; this server has {', '.join(models)}", "model", "model_not_found"
        )
    model = models[name]
    if version not in (None, model.served.id):
        message = f"no version {version} of {name} here; this server has {model.served.id}"
        raise RequestError(404, message, "model_version", "model_not_found")
    return model
