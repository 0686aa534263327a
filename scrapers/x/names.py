"""Accounts by their names: those in the bot file and in a file, and what X says of them."""

from typing import Any

from mynah.bot.sources.x import account_name
from mynah.errors import MynahError
from mynah.failed_request import short
from mynah.settings import Settings
from scrapers.content import opened


def read_names(given: list[str], file: str | None, settings: Settings) -> tuple[list[str], list[str]]:
    """The names in the bot file and in a file, in lower case, each once, and a line for each that is none.

    Raises MynahError where the file cannot be read, or no name is left.
    """
    names, problems = dict.fromkeys(name.lower() for name in given), []
    if file:
        with opened(file, settings) as content:
            data = content.stream.read() if content.stream else b""
        for number, line in enumerate(data.decode("utf-8-sig", errors="replace").splitlines(), 1):
            try:
                if line.strip() and not line.lstrip().startswith("#"):
                    names[account_name(line).lower()] = None
            except ValueError as error:
                problems.append(f"{file}:{number}: {error}")
        if not names:
            raise MynahError(f"{file} names no account: write one name per line")
    return list(names), problems


def read_users(names: list[str], body: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, str]]:
    """X's answer to a look-up of `names`: the users that it knows, and for each other name a line that says why not."""
    found = {user["username"].lower(): user for user in body.get("data", ())}
    said = {str(error.get("value", "")).lower(): error for error in body.get("errors", ())}
    problems = {}
    for name in names:
        if name not in found:
            error = said.get(name, {})
            why = short(error.get("detail") or error.get("title") or "X says nothing of it.")
            problems[name] = f"@{name}: {why} Check the name; it may be renamed, suspended or deleted"
    return found, problems


def posts_of(user: dict[str, Any], unknown: int = 0) -> int:
    """How many posts a user has; `unknown` where X does not say it. It has two names for this."""
    counts = user.get("public_metrics") or {}
    posts: int = counts.get("post_count", counts.get("tweet_count", unknown))
    return posts
