"""KServe's protocol V1: predict.

https://kserve.github.io/website/docs/concepts/architecture/data-plane/v1-protocol
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from serving.model.body import as_object
from serving.model.engine import Completion
from serving.model.models import TextModel
from serving.model.sampling import Prompt, PromptSampling, read_fields


class PredictRequest(BaseModel):
    """The body."""

    model_config = ConfigDict(extra="forbid", strict=True)

    instances: list[Prompt | dict[str, Any]] = Field(min_length=1, max_length=1024)
    """Each is a prompt, or an object with `prompt` and sampling fields."""
    parameters: dict[str, Any] = {}
    """Sampling fields for all instances."""


async def predict(model: TextModel, body: object) -> dict[str, Any]:
    """V1's answer to the JSON in `body`. Raises RequestError."""
    request = read_fields(PredictRequest, as_object(body))
    defaults = model.served.defaults | request.parameters
    fields = [{"prompt": given} if isinstance(given, str) else given for given in request.instances]
    instances = [read_fields(PromptSampling, given, defaults) for given in fields]
    samples = [sample for instance in instances for sample in instance.samples([instance.prompt])]
    completions = iter(await model.engine.complete(samples))
    return {"predictions": [_prediction([next(completions) for _ in range(i.n)]) for i in instances]}


def _prediction(completions: list[Completion]) -> dict[str, Any]:
    """The answer to one instance: its n texts, and the first of them by itself."""
    return {
        "text": completions[0].text,
        "finish_reason": completions[0].finish_reason,
        "texts": [c.text for c in completions],
        "finish_reasons": [c.finish_reason for c in completions],
    }
