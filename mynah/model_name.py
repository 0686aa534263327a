"""What a model server calls its models: NAME is a bot's, and means its current one; NAME@ID is any of them."""

VERSION = "@"


def versioned(name: str, id: str | None) -> str:
    """NAME@ID, or NAME where no id is wanted."""
    return name if id is None else f"{name}{VERSION}{id}"
