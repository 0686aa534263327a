"""Where a bot posts: a module per kind of account."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobs.post import Account
    from mynah.settings import Settings


def open_account(bot: str, settings: "Settings") -> "Account":
    """X where its keys are set, else the outbox file."""
    if keys := settings.x_keys():
        from jobs.accounts.x import XAccount

        return XAccount(*keys, api_url=settings.x_api_url)
    from jobs.accounts.outbox import Outbox

    return Outbox(settings.home / "outbox" / f"{bot}.jsonl")
