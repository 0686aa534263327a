"""Put a model up on the Hugging Face Hub, for those who share: its folder in one commit, with a card of today."""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import huggingface_hub
from huggingface_hub import CommitOperationAdd, HfApi
from huggingface_hub.errors import HfHubHTTPError

from mynah.bot import Bot
from mynah.database import served
from mynah.errors import MynahError, UsageError
from mynah.sampled import samples_of
from mynah.settings import Settings
from training import card
from training.model_folder import history_of

PLACE = re.compile(r"hf://([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)")
TOKEN = "set HF_TOKEN to a token that may write there: https://huggingface.co/settings/tokens"  # noqa: S105


@dataclass(frozen=True)
class Pushed:
    """A model on the Hub, or with `dry_run` what would be there."""

    model: str
    repository: str
    address: str
    """Of the commit."""
    private: bool
    files: list[str]
    bytes: int
    dry_run: bool
    card: str

    def summary(self) -> str:
        what = f"{self.model}: {len(self.files)} files, {self.bytes / 1e6:,.1f} MB"
        seen = "private" if self.private else "public"
        if self.dry_run:
            return f"{what}, for {self.repository} ({seen} if it is new), with this card:\n\n{self.card}"
        return f"{what} are up: {self.address} ({seen})"


def push(bot: Bot, settings: Settings, place: str, model: str | None, public: bool, dry_run: bool) -> Pushed:
    """Put `model`, or the bot's current one, up at `place`, hf://OWNER/NAME. It is private, unless `public`.

    A repository that is there stays as visible as it is. What was pushed already is not sent again. Raises UsageError
    for another place, MynahError where there is no such model or the Hub refuses.
    """
    if not (found := PLACE.fullmatch(place)):
        raise UsageError(f"{place}: want hf://OWNER/NAME, such as hf://me/{bot.name}")
    repository, bucket = found[1], settings.bucket
    manifest = _manifest(bot, settings, model)
    id = manifest["id"]
    history = history_of(bucket, bot.name, id)
    text = card.card_of(manifest, bot, settings, history, samples_of(bucket, bot.name, id))
    text = text.replace("OWNER/NAME", repository)
    files = sorted({*manifest["files"], card.FILE})
    size = sum(facts["bytes"] for name, facts in manifest["files"].items() if name != card.FILE) + len(text.encode())
    if dry_run:
        return Pushed(id, repository, "", not public, files, size, True, text)
    huggingface_hub.utils.logging.set_verbosity_error()
    with tempfile.TemporaryDirectory(prefix="push-", dir=settings.make_home()) as scratch:
        folder = bucket.fetch(Path(scratch), bot.name, "models", id)
        added = [CommitOperationAdd(name, folder / name) for name in files if name != card.FILE]
        added.append(CommitOperationAdd(card.FILE, text.encode()))
        address, private = _send(repository, added, f"{bot.name} {id}", public)
    return Pushed(id, repository, address, private, files, size, False, text)


def _send(repository: str, added: list[CommitOperationAdd], message: str, public: bool) -> tuple[str, bool]:
    """Commit the files; returns the commit's address, and whether the repository is private. Raises MynahError."""
    hub = HfApi()
    try:
        hub.create_repo(repository, private=not public, exist_ok=True)
        commit = hub.create_commit(repository, added, commit_message=message)
        return str(commit.commit_url), bool(hub.model_info(repository).private)
    except HfHubHTTPError as error:
        status = error.response.status_code
        if status in (401, 403):
            raise MynahError(f"the Hub does not let you write to {repository}: {TOKEN}") from None
        raise MynahError(f"the Hub refuses {repository} (HTTP {status}): {error.server_message or error}") from None
    except (httpx.TransportError, OSError) as error:
        why = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise MynahError(f"the Hub cannot be reached ({why}): check the network; run this again") from None


def _manifest(bot: Bot, settings: Settings, model: str | None) -> dict[str, Any]:
    if model is None:
        with settings.connect() as connection:
            now = served.current(connection, bot.name)
        if now is None:
            raise MynahError(f"bot {bot.name} has no current model: promote one, or name the model to push")
        model = now.model
    manifest = settings.bucket.manifest(bot.name, "models", model)
    if manifest is None:
        raise MynahError(f"{settings.bucket.address(bot.name, 'models', model)} has no model.json: no such model")
    return manifest
