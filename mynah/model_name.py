"""What models are called. To a server, NAME is a bot's, and means its current one; NAME@ID is any of them.

The id of a training's checkpoint is ID@STEP, where ID is the run's and its model's.
"""

VERSION = "@"


def versioned(name: str, id: str | None) -> str:
    """NAME@ID, or NAME where no id is wanted."""
    return name if id is None else f"{name}{VERSION}{id}"


def run_of(id: str) -> str:
    """The id of the run that made a model: its own, but of a checkpoint's."""
    return id.partition(VERSION)[0]
