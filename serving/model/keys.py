"""Who may ask: where the server has keys, a request brings one of them as `Authorization: Bearer KEY`."""

import hashlib
import hmac
from collections.abc import Sequence

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from serving.model.errors import RequestError, refusal

# Kubelet's probes and Prometheus have no key, and learn nothing that is worth one.
OPEN = ("/v2/health/live", "/v2/health/ready", "/metrics")


def is_known(authorization: str, keys: Sequence[str]) -> bool:
    """Whether a header `Authorization` brings one of `keys`.

    It takes the same time whatever the header holds: hashes, which have one length, are compared, and with every key.
    """
    scheme, _, given = authorization.partition(" ")
    digest = hashlib.sha256(given.strip().encode("utf-8", "surrogateescape")).digest()
    same = [hmac.compare_digest(digest, hashlib.sha256(key.encode()).digest()) for key in keys]
    return any(same) and scheme.lower() == "bearer"


class Guarded:
    """ASGI middleware: answers 401 to a request without a key, before its body is read."""

    def __init__(self, app: ASGIApp, keys: Sequence[str]) -> None:
        self.app = app
        self.keys = keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] in OPEN:
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        given = request.headers.get("authorization", "")
        if is_known(given, self.keys):
            await self.app(scope, receive, send)
            return
        what = "this key is not known here" if given else "a key is needed"
        error = RequestError(401, f"{what}: send Authorization: Bearer KEY", code="invalid_api_key")
        await refusal(request, error, {"www-authenticate": "Bearer"})(scope, receive, send)
