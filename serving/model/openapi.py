"""The OpenAPI document at /openapi.json, and the pages made of it at /docs.

FastAPI writes it, but for the bodies that we read ourselves: so that each bad field has a message of its own.
"""

from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from serving.model.chat import ChatRequest
from serving.model.generate import GenerateRequest
from serving.model.openai import CompletionRequest
from serving.model.sampling import Sampling
from serving.model.v1 import PredictRequest
from serving.model.v2 import FINISH_REASON, INPUT, TEXT

DESCRIPTION = "Texts from fine-tuned language models. What the fields mean: docs/serving.md of mynah."


def document(app: FastAPI) -> None:
    """Let the application describe its bodies too."""
    plain = app.openapi

    def described() -> dict[str, Any]:
        if app.openapi_schema:
            return app.openapi_schema
        made = plain()
        made["info"]["description"] = DESCRIPTION
        generate, sampling = _schema(GenerateRequest), _schema(Sampling)
        own = {key: field for key, field in generate["properties"].items() if key not in sampling["properties"]}
        generate["properties"] = {**own, "parameters": sampling}
        for end, schema in (
            ("/v1/completions", _schema(CompletionRequest)),
            ("/chat/completions", _schema(ChatRequest)),
            (":predict", _schema(PredictRequest)),
            ("/generate", generate),
            ("/generate_stream", generate),
            ("/infer", _infer(sampling)),
        ):
            body = {"required": True, "content": {"application/json": {"schema": schema}}}
            for path, methods in made["paths"].items():
                if path.endswith(end):
                    methods["post"]["requestBody"] = body
        return made

    app.openapi = described  # type: ignore[method-assign]


def _infer(sampling: dict[str, Any]) -> dict[str, Any]:
    """V2's body: one tensor of prompts, and sampling fields as its parameters."""
    tensor = {
        "type": "object",
        "required": ["name", "shape", "datatype", "data"],
        "properties": {
            "name": {"const": INPUT},
            "shape": {"type": "array", "items": {"type": "integer", "minimum": 1}},
            "datatype": {"const": "BYTES"},
            "data": {"type": "array", "items": {"type": "string"}},
        },
    }
    output = {"type": "object", "required": ["name"], "properties": {"name": {"enum": [TEXT, FINISH_REASON]}}}
    return {
        "type": "object",
        "required": ["inputs"],
        "properties": {
            "id": {"type": "string"},
            "parameters": sampling,
            "inputs": {"type": "array", "items": tensor, "minItems": 1, "maxItems": 1},
            "outputs": {"type": "array", "items": output},
        },
    }


def _schema(kind: type[BaseModel]) -> dict[str, Any]:
    """The JSON schema of a body, with what it refers to laid in."""
    schema = kind.model_json_schema()
    parts = schema.pop("$defs", {})

    def laid_in(node: Any) -> Any:
        if isinstance(node, list):
            return [laid_in(item) for item in node]
        if not isinstance(node, dict):
            return node
        if name := node.get("$ref", "").removeprefix("#/$defs/"):
            return laid_in(parts[name] | {key: value for key, value in node.items() if key != "$ref"})
        return {key: laid_in(value) for key, value in node.items()}

    found: dict[str, Any] = laid_in(schema)
    return found
