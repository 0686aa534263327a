"""What answers in a cluster before a bot has its first model.

The server is live and ready, so that an installation comes up whole. Of the model it says in a sentence that there is
none yet, and what to do. The first `mynah promote` replaces this pod by one with a model.
"""

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from serving.transport import Server, listen

MARK = "no-model-yet"  # the file that `mynah prepare` puts into the folder that a bot begins with


def application(name: str) -> Starlette:
    """V2's health routes; 503 with a reason on every other path."""

    async def healthy(request: Request) -> Response:
        return JSONResponse({"live": True, "ready": True})

    async def none_yet(request: Request) -> Response:
        reason = (
            f"{name} has no model yet: `mynah train {name} --on kubernetes`, then "
            f"`mynah promote {name} --on kubernetes`"
        )
        body = (
            {"message": reason, "type": "no_model", "code": 503} if request.url.path.startswith("/openai/") else reason
        )
        return JSONResponse({"error": body}, status_code=503)

    return Starlette(
        routes=[
            Route("/v2/health/live", healthy),
            Route("/v2/health/ready", healthy),
            Route("/{path:path}", none_yet, methods=["GET", "POST", "DELETE"]),
        ]
    )


def serve(name: str, host: str, port: int) -> None:
    """Answer on host:port until told to end. Raises MynahError where the port is taken."""
    asyncio.run(Server(application(name)).serve([listen(host, port)]))
