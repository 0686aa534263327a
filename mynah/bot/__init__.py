"""The bot file: what one bot reads, learns, says and posts.

A bot file is YAML, which is also a Helm values file. A module here is a section of it, and every key is a field with
its unit, its default and its meaning; unknown keys are refused. `load` reads one file with one bot, applies `--set`
overrides, and says where a mistake is. `make generate` makes the reference, docs/bot-file.md, from all this.
"""

from mynah.bot.accounts import Account
from mynah.bot.accounts.bluesky import BlueskyAccount
from mynah.bot.accounts.mastodon import MastodonAccount
from mynah.bot.accounts.outbox import OutboxAccount
from mynah.bot.accounts.x import XAccount
from mynah.bot.clean import Clean
from mynah.bot.generate import Generate
from mynah.bot.judge import Judge
from mynah.bot.load import find, load
from mynah.bot.post import Post
from mynah.bot.promote import Promote
from mynah.bot.ray import Ray
from mynah.bot.scrape import Scrape
from mynah.bot.section import Section
from mynah.bot.serve import Serve
from mynah.bot.sources import Source
from mynah.bot.sources.file import FileSource
from mynah.bot.spec import Bot, BotFile, BotSpec
from mynah.bot.train import Train

__all__ = [
    "Account",
    "BlueskyAccount",
    "Bot",
    "BotFile",
    "BotSpec",
    "Clean",
    "FileSource",
    "Generate",
    "Judge",
    "MastodonAccount",
    "OutboxAccount",
    "Post",
    "Promote",
    "Ray",
    "Scrape",
    "Section",
    "Serve",
    "Source",
    "Train",
    "XAccount",
    "find",
    "load",
]
