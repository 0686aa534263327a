"""Tests that load OpenVINO in this process."""

import functools
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any


def in_thread(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test in a thread of its own.

    OpenVINO's CPU plugin gives the thread that loads it a stack for signals. Two loaded together put back, when they
    go, one that is freed: in the main thread, the next signal (a test's time limit, Ctrl-C) would end the whole run.
    """

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        outcome: Future[None] = Future()

        def work() -> None:
            try:
                outcome.set_result(test(*args, **kwargs))
            except BaseException as error:
                outcome.set_exception(error)

        threading.Thread(target=work, daemon=True).start()
        outcome.result()

    return run
