"""The whole bot file: `bots: {NAME: {sources: …, clean: …, train: …}}`, which is also a Helm values file."""

from typing import Self

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from mynah.bot.accounts import Account, AnyAccount, KeyedAccount
from mynah.bot.alerts import Alerts
from mynah.bot.clean import Clean
from mynah.bot.distill import Distill
from mynah.bot.generate import Generate
from mynah.bot.judge import Judge
from mynah.bot.post import Post
from mynah.bot.prefer import Prefer
from mynah.bot.promote import Promote
from mynah.bot.ray import Ray
from mynah.bot.scrape import Scrape
from mynah.bot.section import Name, Section
from mynah.bot.serve import Serve
from mynah.bot.sources import AnySource
from mynah.bot.sources.telegram import TelegramSource
from mynah.bot.train import Train


class BotSpec(Section):
    """One bot."""

    description: str = ""
    """A sentence on what the bot is."""
    sources: dict[Name, AnySource] = Field(min_length=1)
    """Where its texts come from, each by a name of your choice."""
    scrape: Scrape = Scrape()
    """Reading the sources again."""
    clean: Clean = Clean()
    """From documents to training texts."""
    train: Train = Train()
    """Fine-tuning the model."""
    generate: Generate = Generate()
    """Asking the model for candidates."""
    judge: Judge = Judge()
    """Judging candidates."""
    post: Post = Post()
    """Posting to one account, in short."""
    accounts: dict[Name, AnyAccount] = Field(default={})
    """Where it posts, each by a name of your choice."""
    alerts: Alerts = Alerts()
    """Telling people what needs them."""
    ray: Ray = Ray()
    """Training on a cluster."""
    serve: Serve = Serve()
    """Serving on a cluster."""
    prefer: Prefer = Prefer()
    """Learning from the curators."""
    distill: Distill = Distill()
    """Making a smaller model."""
    promote: Promote = Promote()
    """Changing to a newly trained model."""

    @model_validator(mode="after")
    def _check_accounts(self) -> Self:
        if self.accounts and "post" in self.model_fields_set:
            raise PydanticCustomError(
                "post_and_accounts",
                "stands beside accounts: keep one of them (post is the short form of one account)",
                {"at": ("post",)},
            )
        first: dict[tuple[str, str], str] = {}
        for name, account in self.accounts.items():
            if not isinstance(account, KeyedAccount):
                continue
            keys = account.kind, account.env
            if first.setdefault(keys, name) != name:
                raise PydanticCustomError(
                    "same_env",
                    "the same as that of {other}, so both would post with the same keys: give each its own, e.g. NEWS_",
                    {"other": first[keys], "at": ("accounts", name, "env")},
                )
        return self

    @model_validator(mode="after")
    def _check_telegram(self) -> Self:
        first = None
        for name, source in self.sources.items():
            if not isinstance(source, TelegramSource) or source.secret is None:
                continue
            first = first or source.secret
            if source.secret != first:
                raise PydanticCustomError(
                    "another_secret",
                    "another than {other}: a bot has one account on Telegram",
                    {"other": first, "at": ("sources", name, "secret")},
                )
        return self

    def accounts_by_name(self) -> dict[str, Post | Account]:
        """Where the bot posts; at least one. A `post` section, or none, is one account named main."""
        return {**self.accounts} if self.accounts else {"main": self.post}


class BotFile(Section):
    """A whole bot file."""

    bots: dict[Name, BotSpec] = Field(min_length=1, max_length=1)
    """The bot by its name; one bot per file."""

    @classmethod
    def _meant(cls, key: str) -> str:
        return f"did you mean bots.NAME.{key}?" if key in BotSpec.model_fields else super()._meant(key)


class Bot(BotSpec):
    """A bot together with its name."""

    name: Name
    """The bot's name: the key under `bots`."""
