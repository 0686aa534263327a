"""Has Ray Train run the loop (training.worker), shows how far it has come, and says why it failed."""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.errors import Stopped
from mynah.progress import progress
from training import losses
from training.phases import Phases, timed
from training.ray_session import ray_session  # before ray itself, which reads its environment once
from training.samples import sample_prompts

if TYPE_CHECKING:
    import ray.train
    from ray.train.torch import TorchTrainer

POLL_EVERY = 0.3  # seconds between two looks at the board
TRIES = 13  # to reach S3: a checkpoint waits for it for 100 s


@dataclass(frozen=True)
class Task:
    """What is to be trained."""

    bot: Bot
    dataset: str
    run: str
    current: str | None
    """The model that the new one is compared with; None where the bot has none yet."""
    bucket: Bucket
    cache: Path
    """Where copies of base models lie."""


def fit(
    task: Task,
    folder: Path,
    python: str,
    phases: Phases,
    check: Callable[[], None],
    seen: Callable[[dict[str, Any]], None],
    meanwhile: Callable[[], object],
) -> dict[str, Any]:
    """Train, or go on with the run from its last whole checkpoint.

    `python` is what Ray starts its processes on this machine with. `check` is called all the time; what it raises ends
    the training. `seen` is told what the board shows. `meanwhile` is called once, in a thread, after the first step:
    until then, all cores have enough to do. Returns what `training.worker.work` returns, and as
    "folder" where the final model lies, a Hugging Face folder: `folder`, or the bucket's own.
    Raises MynahError with the root cause in one line, OSError where a disk is full or read-only; Stopped, and says
    where the run goes on from, where a person stopped it.
    """
    settings = task.bot.train
    bucket = replace(task.bucket, tries=TRIES)
    if bucket.is_local:  # workers do not run in the folder that this process runs in
        bucket = Bucket(bucket.path())
    if Path(settings.base).exists():
        settings = settings.model_copy(update={"base": str(Path(settings.base).absolute())})
    with ray_session(settings, python, phases) as resources:
        import ray

        from training import checkpoint
        from training.failures import root_cause
        from training.progress_board import Board, Job
        from training.trainer import make_trainer

        check()
        checkpoint.mend(bucket, task.bot.name, task.run)
        each = f"{resources.threads} thread{'s' * (resources.threads > 1)}" if resources.threads else "a GPU"
        _say(f"starting {resources.workers} worker{'s' * (resources.workers > 1)}, {each} each")
        board = Board.options(max_restarts=-1, max_task_retries=-1).remote()  # type: ignore[attr-defined]
        job = Job(
            bot=task.bot.name,
            dataset=task.dataset,
            run=task.run,
            current=task.current,
            bucket=bucket,
            cache=task.cache.absolute(),
            train=settings,
            threads=resources.threads,
            board=board,
            generate=task.bot.generate,
            prompts=sample_prompts(task.bot, bucket, task.dataset),
        )
        background = threading.Thread(target=meanwhile)
        begin = time.monotonic()
        try:
            result = _watch(make_trainer(job, resources), job, check, seen, background, begin - sum(phases.values()))
        except (ray.train.TrainingFailedError, ray.exceptions.RayError) as error:
            raise root_cause(error, task.bot.name, resources.logs) from error
        finally:
            if background.ident:
                background.join()
        assert result.checkpoint  # noqa: S101 — a run that ended well has saved its model
        outcome: dict[str, Any] = result.return_value  # type: ignore[attr-defined]
        # The workers' own phases, and before them what it took until they were at work.
        _say("\n".join(losses.table(outcome["history"])))
        phases["workers' start"] = time.monotonic() - begin - sum(outcome["phases"].values())
        phases |= outcome["phases"]
        with timed(phases, "checkpoints"):
            return {**outcome, "folder": Path(checkpoint.fetch(result.checkpoint, str(folder)))}


def _watch(
    trainer: "TorchTrainer",
    job: Any,
    check: Callable[[], None],
    seen: Callable[[dict[str, Any]], None],
    background: threading.Thread,
    begun: float,
) -> "ray.train.Result":
    """Run `trainer` in a thread (so that Ctrl-C stays ours) and show how far it has come since `begun`."""
    import ray

    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["result"] = trainer.fit()
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    row: dict[str, Any] = {}

    def look() -> dict[str, Any]:
        thread.join(POLL_EVERY)
        check()
        read: dict[str, Any] = {**row, **ray.get(job.board.read.remote())}
        seen(read)
        return read

    try:
        ended = False
        while "steps" not in row and not ended:
            ended = not thread.is_alive()  # what it said last is read once more
            row = look()
        if "steps" in row:
            _say(
                f"training {job.bot}: {row['steps']:,} steps, {row['tokens']:,} tokens in {row['rows']:,} rows,"
                f" ready after {time.monotonic() - begun:.1f} s"
                + (f", going on from step {row['step']:,}" if row["step"] else "")
            )
            if row["precision"] != job.train.precision:
                _say(f"this CPU has no instructions for bf16: computing in {row['precision']}")
            told, shown = row["step"] or -1, None
            with progress("training", row["steps"]) as advance:
                while True:
                    ended = not thread.is_alive()
                    last, row = row, look()
                    for written in row.get("samples", ()):
                        if written["step"] > told:
                            told = written["step"]
                            _say("\n".join(losses.samples(written)))
                    if row.get("deaths", 0) > last.get("deaths", 0):
                        _say(f"a worker died: another goes on from {_place(row)}")
                    if "loss" in row and not background.ident:
                        background.start()
                    if (now := (row["step"], _note(row))) != shown:
                        advance(*now)
                        shown = now
                    if ended:
                        break
    except (KeyboardInterrupt, Stopped) as stop:
        # The workers go on until Ray ends them, and may save again.
        saved = row.get("saved")
        kept = f"goes on from step {saved:,} or later" if saved else "starts over: no checkpoint was due yet"
        raise Stopped(f"{stop or 'training stopped'}; `mynah train {job.bot}` {kept}") from None
    if error := outcome.get("error"):
        raise error
    result: ray.train.Result = outcome["result"]
    return result


def _place(row: dict[str, Any]) -> str:
    return f"the checkpoint of step {row['saved']:,}" if row.get("saved") else "the beginning"


def _note(row: dict[str, Any]) -> str:
    parts = []
    if "loss" in row:
        parts.append(f"loss {row['loss']:.3f}")
    if "dev_loss" in row:
        parts.append(f"dev {row['dev_loss']:.3f}")
    elif not row["step"]:
        parts.append("measuring the untuned model")
    if "tokens_per_second" in row:
        parts.append(f"{row['tokens_per_second']:,.0f} tokens/s")
    return " · ".join(parts)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
