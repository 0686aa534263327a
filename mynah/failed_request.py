"""What may be said of a request that failed: in a line for people, and whether any of it was sent."""

import ssl


def short(thing: object) -> str:
    """Anything in one short line."""
    return " ".join(str(thing).split())[:200]


def brief(error: BaseException) -> str:
    """An exception in one short line."""
    return short(f"{type(error).__name__}: {error}").removesuffix(":")


def never_sent(error: BaseException) -> bool:
    """Whether a request failed before any of it was sent: no name, no route, no proxy, no trusted certificate."""
    from urllib3.exceptions import ConnectTimeoutError, NewConnectionError, ProxyError

    causes: list[object] = [error]
    for cause in causes:
        if isinstance(cause, NewConnectionError | ConnectTimeoutError | ProxyError | ssl.SSLCertVerificationError):
            return True
        if isinstance(cause, BaseException) and len(causes) < 8:
            causes += [getattr(cause, "reason", None), *cause.args[:1]]
    return False
