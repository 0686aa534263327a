"""Ray Train's trainer, without the processes that no run of ours needs: each takes seconds to start."""

from typing import Any

from ray.train import CheckpointConfig, FailureConfig, RunConfig, ScalingConfig
from ray.train.torch import TorchTrainer
from ray.train.v2._internal.execution.context import TrainRunContext
from ray.train.v2._internal.execution.scaling_policy import FixedScalingPolicy
from ray.train.v2.api.config import LoggingConfig

from training.failures import STARTS, Patience
from training.progress_board import Job
from training.ray_session import Resources, is_local
from training.worker import work


class OnThisMachine(FixedScalingPolicy):
    """As many workers as were asked for. No autoscaler is told: there will be no other machine."""

    def after_controller_start(self, train_run_context: TrainRunContext) -> None: ...

    def _maybe_send_resource_request(self) -> None: ...


class Trainer(TorchTrainer):
    """Of Ray Train's helpers, only those that a run of ours needs."""

    def _create_default_callbacks(self) -> list[Any]:
        # No dataset of Ray's is used; and on a machine's own Ray, which ends with this process, nothing is left to
        # clean up.
        unneeded = {"DatasetsCallback"} | ({"PlacementGroupCleanerCallback"} if is_local() else set())
        callbacks: list[Any] = super()._create_default_callbacks()  # type: ignore[misc]
        return [callback for callback in callbacks if type(callback).__name__ not in unneeded]

    def _initialize_and_run_controller(self, **controller: Any) -> Any:
        if is_local():
            controller["scaling_policy"] = OnThisMachine(self.scaling_config)  # type: ignore[arg-type]
        return super()._initialize_and_run_controller(**controller)  # type: ignore[misc]


def make_trainer(job: Job, resources: Resources) -> Trainer:
    """What has the workers run the loop, and replaces those that die for as long as `Patience` says."""
    fewest, most = job.train.fewest_workers, resources.workers
    workers = most if is_local() or fewest == most else (fewest, most)
    return Trainer(
        work,  # type: ignore[arg-type]  # what it returns is the result's return_value
        train_loop_config={"job": job},
        scaling_config=ScalingConfig(
            num_workers=workers,  # type: ignore[arg-type]  # (fewest, most) in the second version
            use_gpu=resources.gpu,
            resources_per_worker=None if resources.gpu else {"CPU": resources.cores},
        ),
        run_config=RunConfig(  # type: ignore[call-arg]  # of the second version, which is used
            name=job.run,
            storage_path=job.bucket.path(job.bot, "runs"),
            storage_filesystem=job.bucket.filesystem,
            checkpoint_config=CheckpointConfig(num_to_keep=1 + job.train.keep_checkpoints),
            failure_config=FailureConfig(max_failures=-1, controller_failure_limit=STARTS),  # type: ignore[call-arg]
            callbacks=[Patience(job.bot, resources.logs, job.board)],  # type: ignore[list-item]
            logging_config=LoggingConfig(log_level="ERROR"),
        ),
    )
