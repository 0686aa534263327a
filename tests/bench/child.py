"""A contestant in a process of its own: tasks go in as lines of JSON, and each is answered with one."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import psutil

Task = dict[str, Any]


class Child:
    """A contestant's process: `python -m MODULE NAME FOLDER`, which ends with `answer_tasks`."""

    def __init__(self, module: str, name: str, folder: Path, threads: str | None = None) -> None:
        """`threads`: its OMP_NUM_THREADS; None: as many as this process."""
        self._command = f"{module} {name}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": threads} if threads else None,
        )
        self._read()

    def do(self, what: str, **task: Any) -> dict[str, Any]:
        """Have it do a task; its answer."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"do": what, **task}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self._command} ended: run it by hand to see why")
        return dict(json.loads(line))

    def end(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(60)


def kept_stdout() -> TextIO:
    """Stdout, for the answers; what a library prints there from now on goes nowhere."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return answers


def answer_tasks(answers: TextIO, answer: Callable[[Task], dict[str, Any]]) -> None:
    """Say that the contestant is ready, and answer the tasks on stdin until there are no more."""
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), file=answers, flush=True)


def peak(process: psutil.Process) -> int:
    """The most memory that a process has had, in bytes."""
    status = Path(f"/proc/{process.pid}/status").read_text("ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
