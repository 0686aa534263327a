"""What a client reads instead of an answer, in each protocol's form."""


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
