"""What a bot has posted, and where each text comes from: who decided, which model, which dataset, which sources."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from mynah.bucket import Bucket
from mynah.database import posts, reactions
from mynah.database.connection import Connection
from mynah.database.decisions import decisions
from mynah.database.posts import Post
from mynah.database.tweets import Tweet, get_tweet
from mynah.errors import MynahError
from mynah.model_name import run_of


@dataclass(frozen=True)
class Lineage:
    """Where a model's texts come from. What the bucket no longer has is None or left out."""

    model: str | None
    """None: a person wrote the text."""
    base: str | None
    dataset: str | None
    sources: dict[str, int]
    """The raw objects that the dataset was made of, by source."""

    def words(self) -> str:
        if self.model is None:
            return "written by a person"
        base = f" (from {self.base})" if self.base else " (no longer in the bucket)"
        sources = ", ".join(f"{source} ({number})" for source, number in self.sources.items())
        dataset = f", dataset {self.dataset}" if self.dataset else ""
        return f"model {self.model}{base}{dataset}" + (f", sources {sources}" if sources else "")


@dataclass(frozen=True)
class Made:
    """A post."""

    tweet: int
    account: str
    state: str
    at: datetime
    """When it was posted, else when it was last tried."""
    url: str | None
    text: str
    reason: str | None
    attempts: int
    cost: float
    """Dollars."""
    reactions: dict[str, int]
    lineage: Lineage


@dataclass(frozen=True)
class History:
    """Posts, the newest first. Of one tweet, also how it came to be."""

    bot: str
    posts: list[Made]
    tweet: dict[str, Any] | None = None
    """Its prompt, sampling, seed, score and decisions."""

    def summary(self) -> str:
        if not self.posts and self.tweet is None:
            return f"{self.bot} has posted nothing yet"
        lines = []
        for post in self.posts:
            likes = ", ".join(f"{number:,} {name}" for name, number in post.reactions.items())
            where = post.url or f"{post.state}" + (f": {post.reason}" if post.reason else "")
            lines.append(f"{post.at:%Y-%m-%d %H:%M}  {post.account}  tweet {post.tweet}  {where}")
            lines.append(f"  {' '.join(post.text.split())}")
            lines.append(f"  {f'{likes} · ' if likes else ''}{post.lineage.words()}")
        if self.tweet:
            lines += [f"{name:<10}{value}" for name, value in self.tweet.items() if name != "decisions"]
            lines += [f"{decision['at']}  {decision['what']}" for decision in self.tweet["decisions"]]
        return "\n".join(lines)


def history(
    bot: str, bucket: Bucket, connection: Connection, tweet: int | None, account: str | None, limit: int
) -> History:
    """The bot's posts; those of one account, or all that became of one tweet, where it is named.

    Raises MynahError where the bot has no such tweet.
    """
    found = get_tweet(connection, bot, tweet) if tweet is not None else None
    if tweet is not None and found is None:
        raise MynahError(f"bot {bot} has no tweet {tweet}: see `mynah history {bot}`")
    rows = posts.list_posts(connection, bot, limit, account, None if found else "posted", tweet)
    numbers = reactions.of_posts(connection, [row.id for row in rows])
    known: dict[str | None, Lineage] = {}
    made = []
    for row in rows:
        written = found or get_tweet(connection, bot, row.tweet_id)
        model = written.model if written else None
        if model not in known:
            known[model] = lineage(bucket, bot, model)
        made.append(_made(row, numbers.get(row.id, {}), known[model]))
    return History(bot, made, _told(connection, found) if found else None)


def lineage(bucket: Bucket, bot: str, model: str | None) -> Lineage:
    """What a model was trained on, as the manifests in the bucket say."""
    manifest = bucket.manifest(bot, "models", run_of(model)) if model else None
    id = manifest["dataset"] if manifest else None
    dataset = bucket.manifest(bot, "datasets", id) if id else None
    raw: dict[str, Any] = (dataset or {}).get("raw", {})
    return Lineage(
        model, manifest["base"] if manifest else None, id, {source: len(objects) for source, objects in raw.items()}
    )


def _made(row: Post, numbers: dict[str, int], comes_from: Lineage) -> Made:
    return Made(
        tweet=row.tweet_id,
        account=row.account,
        state=row.state,
        at=row.posted_at or row.claimed_at,
        url=row.post_url,
        text=row.text,
        reason=row.reason,
        attempts=row.attempts,
        cost=float(row.cost),
        reactions=numbers,
        lineage=comes_from,
    )


def _told(connection: Connection, tweet: Tweet) -> dict[str, Any]:
    made = decisions(connection, tweet.bot, tweet.id)
    return {
        "prompt": tweet.prompt,
        "sampling": tweet.sampling,
        "seed": tweet.seed,
        "score": tweet.score,
        "written": tweet.written,
        "decisions": [{"at": f"{each.at:%Y-%m-%d %H:%M}", "what": str(each)} for each in made],
    }
