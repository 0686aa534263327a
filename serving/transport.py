"""The HTTP server below the application: its socket, and how it lets its clients go.

A server that closes an idle connection may do so while a request is on its way there, and that request is lost: no
answer tells its client what became of it. So when told to end it closes no idle connection at once. It answers every
request with `Connection: close`, after which a client opens its next connection elsewhere, and waits for the clients
to go:

    0 s       SIGTERM; in a cluster, preStop has waited 5 s before, for the Services to forget the pod
    0-45 s    requests are answered, new connections too; it ends early, as soon as no connection is open
    45 s      idle connections are closed
    45-54 s   what still runs is finished; then it is cancelled

Why 45 s: httpx and the openai client use no connection again that was idle for 5 s, and aiohttp none after 15 s; but
requests keeps some in reserve for as long as they stand, and takes one of them when many requests run at once. The
longer nobody asked on a connection, the less likely is it just then. (With 16 s, one of 14,000 requests was lost while
models changed, on an overloaded machine.) A rollout does not wait for it: Kubernetes goes on while old pods end. After
SIGINT a person waits, and idle connections are closed at once.
"""

import asyncio
import errno
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Sequence
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from mynah.errors import MynahError

DRAIN_SECONDS = 54.0  # Kubernetes kills after 70: preStop takes 5, the engine may take 5 to stop
IDLE_SECONDS = 45.0  # of these
KEEP_ALIVE_SECONDS = 65  # longer than the usual proxy's, which else meets connections that are just being closed
_LOOK = 0.05  # seconds between two looks whether all clients have gone


class Server(uvicorn.Server):
    """Serves an application on a socket that listens already, until SIGTERM or SIGINT."""

    def __init__(self, app: ASGIApp, proxies: Sequence[str] = ()) -> None:
        """`proxies`: addresses and networks whose X-Forwarded-For is believed."""
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                access_log=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                proxy_headers=bool(proxies),
                forwarded_allow_ips=list(proxies),
            )
        )
        self.patient = False
        """Whether it was told to end by SIGTERM: after Ctrl-C a person waits."""
        self.draining: list[Callable[[], Awaitable[None]]] = []
        """What else lets its clients go, from the moment that this server does."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.patient = sig == signal.SIGTERM
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let the clients go, then end as uvicorn does: close what is idle, and finish what runs."""
        begin = time.monotonic()
        others = [asyncio.ensure_future(drain()) for drain in self.draining]
        # Uvicorn puts these before each answer's own headers, and closes the connection after such an answer.
        self.server_state.default_headers.append((b"connection", b"close"))
        while (
            self.patient
            and self.server_state.connections
            and not self.force_exit
            and time.monotonic() < begin + IDLE_SECONDS
        ):
            await asyncio.sleep(_LOOK)
        self.config.timeout_graceful_shutdown = round(begin + DRAIN_SECONDS - time.monotonic())
        await super().shutdown(sockets)
        await asyncio.gather(*others)


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on host:port. Raises MynahError with one line where that cannot be."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP, flags=socket.AI_PASSIVE
        )[0]
        # Not socket.create_server: asyncio sends small answers at once (TCP_NODELAY) only where the socket's protocol
        # is given as TCP; else every answer waits 40 ms for the client's acknowledgement of its head.
        listener = socket.socket(family, kind, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
        return listener
    except socket.gaierror:
        raise MynahError(f"host {host} is unknown: give an address of this machine with --host") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise MynahError(f"port {port} on {host} is in use: end what uses it, or choose another (--port)") from None
        raise MynahError(f"cannot listen on {host}:{port} ({error.strerror}): choose another --host, --port") from None
