"""Ray's workers on this machine, forked from one process that has imported what they need.

By itself, every worker of Ray imports torch, transformers and Ray Train anew: ten seconds of a core each, and 400 MB.
Here a process imports them once, from the beginning of a training on, and each worker is a fork of it: it is there at
once, also where it replaces one that was killed, and shares its memory.

Ray starts a worker with the Python that runs Ray. In its place stands a small program, `LAUNCHER`, which hands the
command line, the environment and the open files over to the server, lives as long as the worker does, and starts
anything else, also when there is no server, with Python itself.
"""

import importlib
import json
import os
import runpy
import select
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from training.base_model import base_folder

LAUNCHER = """import json, os, socket, sys
me = sys.argv
if len(me) > 1 and me[1].endswith(("setup_worker.py", "default_worker.py")):
    try:
        server = socket.socket(socket.AF_UNIX)
        server.connect({address!r})
    except OSError:
        pass
    else:
        told = json.dumps([me[1:], dict(os.environ), os.getcwd()]).encode()
        socket.send_fds(server, [len(told).to_bytes(8, "big")], [0, 1, 2])
        server.sendall(told)
        server.recv(1)  # nothing comes: the worker has ended
        sys.exit()
os.execv({python!r}, [{python!r}, *me[1:]])
"""
JOB = "01000000"  # the id of the first job of every Ray
NAMES = (
    "python",
    "launcher.py",
    "forkserver",
)  # in a folder: what Ray takes for Python, and what that runs; the socket


@contextmanager
def forkserver(base: str, cache: Path) -> Iterator[str]:
    """The server, up while the block runs; yields the program that Ray is to start in place of Python.

    It has the code of the model `base`. Where Ray runs elsewhere, there is no server, and Python is Python.
    Raises MynahError where there is no such model.
    """
    if "RAY_ADDRESS" in os.environ:
        yield sys.executable
        return
    found = base_folder(base, cache)  # None where the hub has it
    config = found / "config.json" if found else None
    model_type = json.loads(config.read_text()).get("model_type") if config and config.is_file() else None
    with tempfile.TemporaryDirectory(prefix="mynah-fork-", dir="/tmp") as folder:  # a socket's path is short: no TMPDIR
        python, launcher, address = (Path(folder, name) for name in NAMES)
        python.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -ISE {launcher} "$@"\n')
        python.chmod(0o700)
        launcher.write_text(LAUNCHER.format(python=sys.executable, address=str(address)))
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(address))
            listener.listen()  # who connects before the server is ready waits
            code = f"from training.forkserver import serve; serve({listener.fileno()}, {model_type!r})"
            command = [sys.executable, "-c", code]
            # Both are read once, when Ray is imported. A worker ends where the process RAY_RAYLET_PID is no more.
            told = {"RAY_JOB_ID": JOB, "RAY_RAYLET_PID": str(os.getpid())}
            told["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # who looks for GPUs leaves them to the forks
            server = subprocess.Popen(
                command, stdin=subprocess.PIPE, pass_fds=[listener.fileno()], env={**os.environ, **told}
            )
        try:
            yield str(python)
        finally:
            server.kill()
            server.communicate()


def serve(file: int, model_type: str | None) -> None:
    """Fork a worker for each connection to the socket `file`, until standard input ends."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is the driver's, as with Ray's own workers
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # who has ended is nobody's zombie
    listener = socket.socket(fileno=file)
    _import(model_type)
    while listener in select.select([listener, sys.stdin], [], [])[0]:
        connection, _ = listener.accept()
        pid = os.fork()
        if pid == 0:
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _become_worker(connection)
        connection.close()


def _import(model_type: str | None) -> None:
    """What workers, Ray Train's controller and the board import."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for name in (
        "ray._private.workers.default_worker",
        "ray.train.v2._internal.execution.controller",
        "training.worker",
        "training.failures",
        "torch._dynamo",
        "transformers.models.auto.tokenization_auto",
        "ray.air.execution",  # this one and the next for Ray Train's device manager
        "aiohttp",
        *([f"transformers.models.{model_type}.modeling_{model_type}"] if model_type else []),
    ):
        with suppress(ImportError):
            importlib.import_module(name)


def _become_worker(connection: socket.socket) -> None:
    """Be what the command line at the other end of `connection` says; never returns."""
    head, files, _, _ = socket.recv_fds(connection, 8, 3)
    length, told = int.from_bytes(head, "big"), b""
    while len(told) < length:
        told += connection.recv(length - len(told))
    arguments, environment, folder = json.loads(told)
    for place, file in enumerate(files):
        os.dup2(file, place)
        os.close(file)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)

    import torch
    from ray._private.runtime_env.context import RuntimeEnvContext
    from ray._private.workers.setup_worker import parser
    from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

    if torch.cuda._is_in_bad_fork():  # an import has looked for GPUs: a fork cannot use them any more
        os.set_inheritable(connection.fileno(), True)
        os.execv(sys.executable, [sys.executable, *arguments])  # noqa: S606 — as Ray itself would
    Config.initialize("")  # both were read from the server's environment when Ray was imported
    AuthenticationTokenLoader.instance().reset_cache()

    if arguments[0].endswith("setup_worker.py"):
        parsed, arguments = parser.parse_known_args(arguments[1:])
        context = RuntimeEnvContext.deserialize(parsed.serialized_runtime_env_context or "{}")
        os.environ.update(context.env_vars)

    def end_with_launcher() -> None:
        connection.recv(1)
        os._exit(1)

    threading.Thread(target=end_with_launcher, daemon=True).start()
    sys.argv = arguments
    try:
        runpy.run_path(arguments[0], run_name="__main__")
    finally:
        os._exit(0)
