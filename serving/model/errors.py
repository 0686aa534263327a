"""What a client reads instead of an answer, in each protocol's form."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import Request, Response


class RequestError(Exception):
    """A request that gets an error for an answer.

    `status` is HTTP's and `message` is for people. `param` is the field at fault and `code` a word for programs, as in
    OpenAI's error object. `retry_after` is in how many seconds to ask again, where that may help.
    """

    def __init__(
        self,
        status: int,
        message: str,
        param: str | None = None,
        code: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param
        self.code = code
        self.retry_after = retry_after

    def openai_body(self) -> dict[str, object]:
        """https://platform.openai.com/docs/guides/error-codes: {"error": {message, type, param, code}}."""
        kind = "invalid_request_error" if self.status < 500 else "server_error"
        return {"error": {"message": self.message, "type": kind, "param": self.param, "code": self.code}}

    def kserve_body(self) -> dict[str, object]:
        """As V1, V2 and the generate extension have it: {"error": message}."""
        return {"error": self.message}


def refusal(request: "Request", error: RequestError, headers: Mapping[str, str] | None = None) -> "Response":
    """The answer that tells `error`, in the form of the protocol that the client speaks."""
    from fastapi.responses import JSONResponse

    openai = request.url.path.startswith("/openai/")
    again = {} if error.retry_after is None else {"retry-after": str(error.retry_after)}
    return JSONResponse(
        error.openai_body() if openai else error.kserve_body(), error.status, {**(headers or {}), **again}
    )
