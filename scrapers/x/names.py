"""Whom a source of X reads: the names in the bot file, and those in a file."""

from mynah.bot.sources.x import XSource, account_name
from mynah.errors import MynahError
from mynah.settings import Settings
from scrapers.content import opened


def read_names(source: XSource, settings: Settings) -> tuple[list[str], list[str]]:
    """The accounts' names in lower case, each once, and a line for each that is none.

    Raises MynahError where the file cannot be read, or no name is left.
    """
    names, problems = dict.fromkeys(name.lower() for name in source.accounts), []
    if source.accounts_file:
        with opened(source.accounts_file, settings) as content:
            data = content.stream.read() if content.stream else b""
        for number, line in enumerate(data.decode("utf-8-sig", errors="replace").splitlines(), 1):
            try:
                if line.strip() and not line.lstrip().startswith("#"):
                    names[account_name(line).lower()] = None
            except ValueError as error:
                problems.append(f"{source.accounts_file}:{number}: {error}")
    if not names:
        raise MynahError(f"{source.accounts_file} names no account: write one name per line")
    return list(names), problems
