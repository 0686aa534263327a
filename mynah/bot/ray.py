"""The section `ray`."""

from typing import Annotated, Literal

from mynah.bot.section import Cron, Quantity, Scheduled, Unit


class Ray(Scheduled):
    """Training on a cluster: when it starts by itself, and what each of Ray's workers gets."""

    schedule: Cron | None = None
    """When a training starts: minute, hour, day of month, month, day of week. Without it, only `mynah train` trains."""
    accelerator: Literal["cpu", "gpu"] = "cpu"
    """What a worker trains on: the cores it is given, or one GPU."""
    image: Annotated[str | None, Unit("image")] = None
    """The image of Ray's pods, instead of the chart's for trainings: one made from that, with code of your own in its
    Python. Packages alone are simpler by train.packages."""
    cpu: Annotated[Quantity, Unit("cores per worker")] = "1"
    """Cores that a worker asks for, e.g. 4 or 500m (half a core)."""
    memory: Annotated[Quantity, Unit("bytes per worker")] = "6Gi"
    """Memory that a worker asks for and may not exceed, e.g. 6Gi."""
