"""Why workers failed: what is tried again, and what a person is told."""

from typing import TYPE_CHECKING, Any

import ray
from ray.train import UserCallback
from ray.train.v2._internal.exceptions import RayTrainError

from mynah.errors import MynahError

if TYPE_CHECKING:
    from ray.train import Checkpoint
    from ray.train.v2._internal.execution.context import TrainRunContext

DEATHS = 5  # in a row, without another checkpoint, after which the run has failed
STARTS = 60  # of workers, that fail before the first of their steps


class Patience(UserCallback):
    """In Ray Train's controller: which failures end the run. After the others, it goes on from its last checkpoint.

    A worker that was killed, or whose machine is gone, is replaced. What went wrong in the training itself would go
    wrong again.
    """

    def __init__(self, bot: str, logs: str, board: Any) -> None:
        self.bot, self.logs, self.board = bot, logs, board
        self.step: int | None = None
        """Of the last checkpoint in this call."""
        self.deaths = self.in_a_row = 0

    def after_report(
        self, run_context: "TrainRunContext", metrics: list[dict[str, Any]], checkpoint: "Checkpoint | None"
    ) -> None:
        if checkpoint:
            self.step, self.in_a_row = metrics[0]["step"], 0
            self.board.show.remote(saved=self.step)

    def after_exception(self, run_context: "TrainRunContext", worker_exceptions: dict[int, Exception]) -> None:
        causes = [_unwrapped(error) for _, error in sorted(worker_exceptions.items())]
        if not all(map(_is_from_outside, causes)):
            raise told(causes, self.bot, self.logs)
        if any(getattr(cause, "preempted", False) for cause in causes):
            return  # asked again and again until the machine is gone, and Ray knows what to do
        self.deaths += 1
        self.in_a_row += 1
        if self.in_a_row == DEATHS:
            since = f"since the checkpoint of step {self.step:,}" if self.step else "before their first checkpoint"
            raise MynahError(
                f"training {self.bot} failed: its workers died {DEATHS} times {since}, as happens when memory runs out"
                " (lower train.batch_size) or when they are taken away too soon (lower train.save_every); the next call"
                f" goes on from the last checkpoint; logs: {self.logs}"
            )
        self.board.show.remote(deaths=self.deaths)


def root_cause(error: Exception, bot: str, logs: str) -> Exception:
    """Why training failed, in one line: an exception of ours or of the disk before what followed from it."""
    failures = getattr(error, "worker_failures", None)
    if not failures:
        failure = getattr(error, "controller_failure", error)
        if isinstance(failure, OSError) and "AWS Error" in str(failure):
            why = str(failure).partition(";")[0]
            return MynahError(
                f"training {bot} stopped, as its checkpoint could not be recorded: {why}; `mynah train {bot}` goes on"
                " from the one before it"
            )
        failures = {0: failure}
    return told([_unwrapped(failure) for _, failure in sorted(failures.items())], bot, logs)


def told(causes: list[Exception], bot: str, logs: str) -> Exception:
    """The one of `causes` that the others followed from, as the error to raise."""
    for kind in (MynahError, OSError):
        for cause in causes:
            if isinstance(cause, kind) and not isinstance(cause, ConnectionError):
                return cause
    causes = sorted(causes, key=_is_silence)  # when one worker dies, the others fail on its silence
    cause = causes[0]
    what = next((line.strip() for line in str(cause).splitlines() if line.strip()), "no message")
    if isinstance(cause, ray.exceptions.RayActorError):
        what = "a worker was killed, as happens when memory runs out (lower train.batch_size)"
    elif not isinstance(cause, ray.exceptions.RayError):
        what = f"{type(cause).__name__}: {what}"
    return MynahError(f"training {bot} failed: {what}; the next call goes on from the last checkpoint; logs: {logs}")


def _unwrapped(error: Exception) -> Exception:
    """What the worker itself raised, or how it died."""
    return getattr(error, "_base_exc", None) or getattr(error, "health_check_failure", None) or error


def _is_from_outside(cause: Exception) -> bool:
    """Whether a worker did not fail by itself: it was killed, or another one was."""
    return isinstance(cause, ray.exceptions.RayError | RayTrainError | ConnectionError) or _is_silence(cause)


def _is_silence(cause: Exception) -> bool:
    return "gloo" in str(cause).lower() or "nccl" in str(cause).lower()
