"""Where a bot's loop stands: documents, model, tweets, posts."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from cronsim import CronSim

from mynah import database
from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.endpoint import serving_model
from mynah.errors import MynahError


@dataclass(frozen=True)
class Status:
    """The state of each step; None where there is nothing yet."""

    bot: str
    raw_files: dict[str, int]
    dataset: dict[str, Any] | None
    model: dict[str, Any] | None
    endpoint: str
    serving: str | None
    tweets: dict[str, int]
    last_post: dict[str, Any] | None
    next_post: str

    def summary(self) -> str:
        tweets = ", ".join(f"{number} {state}" for state, number in self.tweets.items() if number) or "none"
        return "\n".join(
            (
                f"bot      {self.bot}",
                f"scraped  {', '.join(f'{name}: {n} files' for name, n in self.raw_files.items())}",
                f"dataset  {self._dataset()}",
                f"model    {self._model()}",
                f"serving  {self.serving or 'nothing answers'} at {self.endpoint}",
                f"tweets   {tweets}",
                f"posted   {self._posted()}",
                f"next     {self.next_post}"
                + ("" if self.tweets["approved"] else f" has nothing to post: `mynah curate {self.bot}`"),
            )
        )

    def _dataset(self) -> str:
        if self.dataset is None:
            return f"none yet: `mynah dataset {self.bot}`"
        return f"{self.dataset['id']}, {self.dataset['train']:,} train + {self.dataset['dev']:,} dev texts"

    def _model(self) -> str:
        if self.model is None:
            return f"none yet: `mynah train {self.bot}`"
        return (
            f"{self.model['id']}, dev loss {dev_losses(self.model)}, "
            f"trained {self.model['created']} from {self.model['base']}"
        )

    def _posted(self) -> str:
        if self.last_post is None:
            return "nothing yet"
        return f"{self.last_post['at']}  {self.last_post['url']}  {self.last_post['text']}"


def dev_losses(metrics: dict[str, Any]) -> str:
    """The dev loss before and after training, in nats a token; there is none without dev texts."""
    if metrics["dev_loss"] is None:
        return "not measured: no dev texts"
    return f"{metrics['dev_loss_untuned']:.3f} untuned → {metrics['dev_loss']:.3f} fine-tuned"


def status(bot: Bot, bucket: Bucket, connection: database.Connection, endpoint: str, now: datetime) -> Status:
    """Read where the loop of `bot` stands; `now` is an aware time. A dead endpoint is told, not raised."""
    dataset = next(bucket.manifests(bot.name, "datasets"), None)
    model = next(bucket.manifests(bot.name, "models"), None)
    posted = database.list_tweets(connection, bot.name, "posted", 1)
    try:
        with httpx.Client(base_url=endpoint, timeout=2) as client:
            serving = serving_model(client, bot.name)
    except MynahError:
        serving = None
    following = next(CronSim(bot.post.schedule, now.astimezone(ZoneInfo(bot.post.time_zone))))
    return Status(
        bot=bot.name,
        raw_files={source: len(bucket.names(bot.name, "raw", source)) for source in bot.sources},
        dataset=dataset and {"id": dataset["id"], **dataset["counts"]},
        model=model and {"id": model["id"], "created": model["created"], "base": model["base"], **model["metrics"]},
        endpoint=endpoint,
        serving=serving,
        tweets=database.count_states(connection, bot.name),
        last_post=next(
            ({"at": f"{t.posted_at:%Y-%m-%d %H:%M}", "url": t.post_url, "text": t.text} for t in posted), None
        ),
        next_post=f"{following:%Y-%m-%d %H:%M %Z} (schedule {bot.post.schedule})",
    )
