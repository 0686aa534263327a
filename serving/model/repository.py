"""The model repository extension of V2: which models there are; load one before it is asked, and let one go.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_model_repository.md
KServe has its routes but for the index.
"""

from typing import Any

from fastapi import APIRouter, Request
from kserve.protocol.model_repository_extension import ModelRepositoryExtension

from serving.model.body import read_body
from serving.model.dataplane import TextRepository
from serving.model.errors import RequestError
from serving.model.models import Models


class Repository(ModelRepositoryExtension):  # type: ignore[misc] # KServe has no types
    """What KServe's routes ask to load and unload a model."""

    def __init__(self, models: Models) -> None:
        super().__init__(TextRepository(models))
        self.models = models

    async def index(self, filter_ready: bool | None = False) -> list[dict[str, str]]:
        return [
            {"name": known.name, "version": known.id, "state": known.state, "reason": known.reason}
            for known in self.models.listed()
            if known.state == "READY" or not filter_ready
        ]

    async def load(self, model_name: str) -> None:
        await self.models.load(model_name)

    async def unload(self, model_name: str) -> None:
        await self.models.unload(model_name)


def repository_routes(repository: Repository) -> APIRouter:
    """/v2/repository/index."""
    router = APIRouter(prefix="/v2/repository", tags=["V2"])

    @router.post("/index")
    async def index(request: Request) -> Any:
        body = await read_body(request) if await request.body() else {}
        ready = body.get("ready", False)
        if not isinstance(ready, bool):
            raise RequestError(400, f"ready: must be true or false, not {ready}", "ready")
        return await repository.index(ready)

    return router
