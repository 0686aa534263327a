"""Has Ray Train run the loop (training.worker), shows how far it has come, and says why it failed."""

import os
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.errors import MynahError, Stopped
from mynah.progress import progress
from training import losses
from training.phases import Phases, timed
from training.ray_session import Resources, ray_session  # before ray itself, which reads its environment once
from training.samples import sample_prompts

if TYPE_CHECKING:
    import ray.train
    from ray.train.torch import TorchTrainer

POLL_EVERY = 0.3  # seconds between two looks at the board
RETRIES = 3  # of a failed worker, on a cluster; from the last checkpoint


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
    phases: Phases,
    check: Callable[[], None],
    seen: Callable[[dict[str, Any]], None],
    meanwhile: Callable[[], object],
) -> dict[str, Any]:
    """Train, or go on with the run from its last whole checkpoint.

    `check` is called all the time; what it raises ends the training. `seen` is told what the board shows. `meanwhile`
    is called once, in a thread, as soon as the workers start. Returns what `training.worker.work` returns, and as
    "folder" where the final model lies, a Hugging Face folder: `folder`, or the bucket's own.
    Raises MynahError with the root cause in one line, OSError where a disk is full or read-only; Stopped, and says
    where the run goes on from, where a person stopped it.
    """
    settings = task.bot.train
    bucket = task.bucket
    if bucket.is_local:  # workers do not run in the folder that this process runs in
        bucket = Bucket(bucket.path())
    if Path(settings.base).exists():
        settings = settings.model_copy(update={"base": str(Path(settings.base).absolute())})
    with ray_session(settings.workers, phases) as resources:
        import ray

        from training import checkpoint
        from training.progress_board import Board, Job

        check()
        checkpoint.mend(bucket, task.bot.name, task.run)
        each = f"{resources.threads} thread{'s' * (resources.threads > 1)}" if resources.threads else "a GPU"
        _say(f"starting {settings.workers} worker{'s' * (settings.workers > 1)}, {each} each")
        board = Board.remote()  # type: ignore[attr-defined]
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
            result = _watch(_trainer(job, resources), job, check, seen, background)
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


def _trainer(job: Any, resources: Resources) -> "TorchTrainer":
    from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer
    from ray.train.v2.api.config import LoggingConfig

    from training.worker import work

    # Each of them is a process that takes seconds to start. No dataset of Ray's is used; and on a machine's own Ray,
    # which ends with this process, nothing is left to clean up.
    unneeded = {"DatasetsCallback"} | (set() if "RAY_ADDRESS" in os.environ else {"PlacementGroupCleanerCallback"})

    class Trainer(TorchTrainer):
        def _create_default_callbacks(self) -> list[Any]:
            callbacks: list[Any] = super()._create_default_callbacks()  # type: ignore[misc]
            return [callback for callback in callbacks if type(callback).__name__ not in unneeded]

    on_cpu = {"CPU": resources.cores}
    return Trainer(
        work,  # type: ignore[arg-type]  # what it returns is the result's return_value
        train_loop_config={"job": job},
        scaling_config=ScalingConfig(
            num_workers=job.train.workers,
            use_gpu=resources.gpu,
            resources_per_worker=None if resources.gpu else on_cpu,
        ),
        run_config=RunConfig(  # type: ignore[call-arg]  # of the second version, which is used
            name=job.run,
            storage_path=job.bucket.path(job.bot, "runs"),
            storage_filesystem=job.bucket.filesystem,
            checkpoint_config=CheckpointConfig(num_to_keep=1),
            failure_config=FailureConfig(max_failures=RETRIES if "RAY_ADDRESS" in os.environ else 0),
            logging_config=LoggingConfig(log_level="ERROR"),
        ),
    )


def _watch(
    trainer: "TorchTrainer",
    job: Any,
    check: Callable[[], None],
    seen: Callable[[dict[str, Any]], None],
    background: threading.Thread,
) -> "ray.train.Result":
    """Run `trainer` in a thread (so that Ctrl-C stays ours) and show how far it has come."""
    import ray

    outcome: dict[str, Any] = {}

    def run() -> None:
        try:
            outcome["result"] = trainer.fit()
        except BaseException as error:
            outcome["error"] = error

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    background.start()
    row: dict[str, Any] = {}

    def look() -> dict[str, Any]:
        thread.join(POLL_EVERY)
        check()
        read: dict[str, Any] = ray.get(job.board.read.remote())
        seen(read)
        return read

    try:
        while thread.is_alive() and "steps" not in row:
            row = look()
        if "steps" in row:
            _say(
                f"training {job.bot}: {row['steps']:,} steps, {row['tokens']:,} tokens in {row['rows']:,} rows"
                + (f", going on from step {row['step']:,}" if row["step"] else "")
            )
            if row["precision"] != job.train.precision:
                _say(f"this CPU has no instructions for bf16: computing in {row['precision']}")
            told = row["step"] or -1
            with progress("training", row["steps"]) as advance:
                while True:
                    ended = not thread.is_alive()
                    last, row = row, look()
                    for written in row.get("samples", ()):
                        if written["step"] > told:
                            told = written["step"]
                            _say("\n".join(losses.samples(written)))
                    if row != last:
                        advance(row["step"], _note(row))
                    if ended:
                        break
    except (KeyboardInterrupt, Stopped) as stop:
        kept = f"goes on from step {row['saved']:,}" if row.get("saved") else "starts over: no checkpoint was due yet"
        raise Stopped(f"{stop or 'training stopped'}; `mynah train {job.bot}` {kept}") from None
    if error := outcome.get("error"):
        raise error
    result: ray.train.Result = outcome["result"]
    return result


def _note(row: dict[str, Any]) -> str:
    parts = []
    if "loss" in row:
        parts.append(f"loss {row['loss']:.3f}")
    parts.append(f"dev {row['dev_loss']:.3f}" if "dev_loss" in row else "measuring the untuned model")
    if "tokens_per_second" in row:
        parts.append(f"{row['tokens_per_second']:,.0f} tokens/s")
    return " · ".join(parts)


def root_cause(error: Exception, bot: str, logs: str) -> Exception:
    """Why training failed, in one line: an exception of ours or of the disk before what followed from it."""
    import ray

    failures = getattr(error, "worker_failures", None) or {0: getattr(error, "controller_failure", error)}
    causes = [getattr(failure, "_base_exc", failure) for _, failure in sorted(failures.items())]
    for kind in (MynahError, OSError):
        for cause in causes:
            if isinstance(cause, kind) and not isinstance(cause, ConnectionError):
                return cause
    # When one worker dies, the others fail on its silence.
    causes.sort(key=lambda cause: "gloo" in str(cause).lower() or "nccl" in str(cause).lower())
    cause = causes[0]
    what = next((line.strip() for line in str(cause).splitlines() if line.strip()), "no message")
    if isinstance(cause, ray.exceptions.RayActorError):
        what = "a worker was killed, as happens when memory runs out (lower train.batch_size)"
    elif not isinstance(cause, ray.exceptions.RayError):
        what = f"{type(cause).__name__}: {what}"
    return MynahError(f"training {bot} failed: {what}; the next call goes on from the last checkpoint; logs: {logs}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
