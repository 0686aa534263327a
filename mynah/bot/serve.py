"""The section `serve`."""

from typing import Annotated, Literal

from pydantic import Field

from mynah.bot.section import Name, Quantity, Section, Unit


class Serve(Section):
    """How a cluster serves the model. One machine needs none of this, but for mode none."""

    mode: Literal["own", "pool", "none"] = "own"
    """own: pods of the bot's own, always there. pool: in a server of many bots, which loads a model when it is asked.
    none: no server; each `mynah generate` has one beside it, for as long as it runs, and `mynah play` answers what it
    knows."""
    pool: Annotated[Name | None, Unit("name")] = None
    """Which pool of the values, with mode pool."""
    model: Annotated[str | None, Unit("model id")] = None
    """The model to serve. Without it, `mynah promote` decides, and upgrades keep what it decided. Taken out again,
    the bot has no model until the next promotion."""
    first_model: Annotated[str | None, Unit("model id")] = None
    """With accelerator gpu, the model to begin with, for vLLM cannot wait for one; `mynah promote` decides from then
    on. Leave it as it is: a change of it would be served."""
    accelerator: Literal["cpu", "gpu"] = "cpu"
    """cpu: our own runtime, with OpenVINO. gpu: KServe's runtime kserve-huggingfaceserver, with vLLM."""
    replicas: Annotated[int, Unit("pods")] = Field(default=1, ge=0)
    """Pods that serve at all times. 0, with mode own: none until a `mynah generate`, a promotion or a new prompt of
    `mynah play` asks for one; KEDA starts it then, and those who call the server itself do not wake it."""
    sleep_after: Annotated[int, Unit("seconds")] = Field(default=900, ge=0)
    """With replicas 0, how long nobody asks before the pods are ended."""
    max_replicas: Annotated[int | None, Unit("pods")] = Field(default=None, ge=1)
    """Add pods up to this many while their CPUs are more than 80 % busy; with replicas 0, while more jobs ask than
    there are pods. Without it, none are added."""
    cpu: Annotated[Quantity, Unit("cores per pod")] = "250m"
    """Cores that a pod asks for, e.g. 2 or 250m (a quarter of a core). It takes more where the node has them."""
    memory: Annotated[Quantity, Unit("bytes per pod")] = "2Gi"
    """Memory that a pod asks for and may not exceed, e.g. 2Gi. On a CPU it holds the model's weights, about half a
    gigabyte of program, and up to 1 GB of keys and values, which fills up in the first hours of use. With accelerator
    gpu, it is the memory for each GPU."""
    gpus: Annotated[int, Unit("GPUs per pod")] = Field(default=1, ge=1)
    """GPUs that a pod asks for, with accelerator gpu. The model is spread over them, so their number must divide that
    of its attention heads."""

    @property
    def sleeps(self) -> bool:
        """Whether it has no pod until something asks for one. The chart's mynah.sleeps says the same."""
        return self.mode == "own" and self.replicas == 0
