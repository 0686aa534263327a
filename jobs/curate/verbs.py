"""The verbs of curating."""

import sys
from typing import TYPE_CHECKING

import click

from mynah.database import STATES
from mynah.errors import UsageError
from mynah.options import load, show, verb

if TYPE_CHECKING:
    from mynah.bot import Bot
    from mynah.curation import Decided
    from mynah.database.connection import Connection
    from mynah.database.queue import Filter
    from mynah.settings import Settings

ACTIONS = ("list", "approve", "reject", "putback", "edit", "undo", "history", "import", "export")
TO = {"approve": "approved", "reject": "rejected", "putback": "candidate"}
SHOWN = 20  # texts that `list` and `search` show


@click.command(
    epilog="Examples: mynah curate fortune · mynah curate fortune approve 3 8 · "
    "mynah curate fortune reject 4 --reason 'off topic' · mynah curate fortune edit 5 'A better text.' · "
    "mynah curate fortune approve --search king --min-score 0.7 · mynah curate fortune undo · "
    "mynah curate fortune import tweets.csv"
)
@verb
@click.argument("action", required=False, type=click.Choice(ACTIONS))
@click.argument("what", nargs=-1)
@click.option("--state", type=click.Choice(STATES), help="Only texts of this state; candidate, unless said otherwise.")
@click.option("--reason", help="For reject: why. Else: only texts that were rejected for this, such as short or link.")
@click.option("--model", help="Only texts of this model.")
@click.option("--prompt", help="Only texts whose prompt begins so.")
@click.option("--search", "words", metavar="WORDS", help='Only texts with these words; "a phrase", wor*, -without.')
@click.option("--min-score", type=float, help="Only texts with at least this score.")
@click.option("--limit", type=click.IntRange(1), help=f"At most so many, the best first; list: {SHOWN}.")
@click.option("--last", default=1, show_default=True, type=click.IntRange(1), help="For undo: how many decisions.")
@click.option("--account", metavar="NAME", help="For import: where its posts are, if the bot has several accounts.")
@click.option("--yes", is_flag=True, help="Decide about all texts that fit without asking.")
@click.option(
    "--revision", type=int, help="Decide about one tweet only if nobody did since it had this revision (see --json)."
)
def curate(
    bot: str,
    overrides: tuple[str, ...],
    as_json: bool,
    action: str | None,
    what: tuple[str, ...],
    state: str | None,
    reason: str | None,
    model: str | None,
    prompt: str | None,
    words: str | None,
    min_score: float | None,
    limit: int | None,
    last: int,
    account: str | None,
    yes: bool,
    revision: int | None,
) -> None:
    """Approve, reject or edit what the bot may say: in a terminal one text after another, with one key for each.

    With an ACTION, or without a terminal, it does one thing: list (the default), approve, reject, putback, undo, each
    followed by ids or by the options that say which texts; edit by one id and the new text; history by one id; import
    and export by a .csv or .jsonl file.
    """
    from mynah import curation, undoing
    from mynah.database.queue import Filter

    found_for = None if action == "reject" else reason
    named = "rejected" if found_for is not None else "candidate"
    wanted = Filter(state or named, found_for, model, prompt, words, min_score)
    narrowed = wanted != Filter() or limit is not None
    interactive = action is None and not as_json and sys.stdin.isatty() and sys.stdout.isatty()
    _check(action, what, narrowed, revision)
    loaded, settings = load(bot, overrides)
    with settings.connect() as connection:
        match action:
            case None if interactive:
                click.echo(_page(loaded, settings, connection, wanted))
            case None | "list":
                show(curation.list_tweets(loaded, connection, wanted, limit or SHOWN), as_json)
            case "history":
                show(curation.history(loaded, connection, _ids(what)[0]), as_json)
            case "edit":
                show(curation.edit(loaded, connection, _ids(what[:1])[0], what[1], revision), as_json)
            case "undo" if what:
                show(undoing.undo_of(loaded, connection, _ids(what)), as_json)
            case "undo":
                show(undoing.undo_last(loaded, connection, last), as_json)
            case "import" | "export":
                _exchange(action, loaded, connection, what, wanted if narrowed else None, account, as_json)
            case _:
                why = (reason or curation.NO_REASON) if action == "reject" else None
                if what:
                    show(curation.decide(loaded, connection, _ids(what), TO[action], why, revision), as_json)
                else:
                    decided = _decide_found(loaded, connection, wanted, limit, TO[action], why, yes)
                    show(decided, as_json)


def _check(action: str | None, what: tuple[str, ...], narrowed: bool, revision: int | None) -> None:
    """Raises UsageError where the action does not take what follows it."""
    if action == "edit" and len(what) != 2:
        raise UsageError("edit takes one id and the new text: mynah curate BOT edit ID 'TEXT'")
    if (action == "history" and len(what) > 1) or (revision is not None and action != "edit" and len(what) != 1):
        raise UsageError(f"{'history' if action == 'history' else '--revision'} takes one id")
    if action in (None, "list") and what:
        raise UsageError("list takes options such as --state and --search, and no ids: see one with history ID")
    if action in TO and what and narrowed:
        raise UsageError("ids and options that say which texts exclude each other: give one of them")
    if (action in TO and not what and not narrowed) or (action == "history" and not what):
        raise UsageError("name tweets by their ids, e.g. mynah curate BOT approve 3 8, or say which by --min-score …")
    if action in ("edit", "history") or (action in TO and what):
        _ids(what[:1] if action == "edit" else what)


def _ids(what: tuple[str, ...]) -> list[int]:
    if not all(word.isascii() and word.isdecimal() and len(word) < 19 for word in what):
        raise UsageError("name tweets by their ids, e.g. mynah curate BOT approve 3 8")
    return [int(word) for word in what]


def _page(bot: "Bot", settings: "Settings", connection: "Connection", wanted: "Filter") -> str:
    """Let the person at the terminal go through the texts; returns what was done."""
    from jobs.curate.nearest import Corpus
    from jobs.curate.page import Page
    from jobs.curate.session import Session
    from mynah import ranking

    ranking.refresh(connection, bot.name)
    return Page(Session(bot, connection, wanted), Corpus(settings, bot)).run()


def _decide_found(
    bot: "Bot", connection: "Connection", wanted: "Filter", limit: int | None, state: str, reason: str | None, yes: bool
) -> "Decided":
    """Decide about all texts that fit, once a person has seen how many there are."""
    from mynah import curation
    from mynah.database import queue

    found = queue.find(connection, bot.name, wanted, limit)
    if found and not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"{len(found)} texts fit: look at them with list, then say --yes")
        for tweet in found[:3]:
            click.echo(f"  {tweet.id}  {queue.shown(tweet.text, 70)}", err=True)
        more = f" (these and {len(found) - 3} more)" if len(found) > 3 else ""
        click.confirm(f"{len(found)} texts become {state}{more}: go on?", abort=True, err=True)
    return curation.decide_found(bot, connection, found, state, reason)


def _exchange(
    action: str,
    bot: "Bot",
    connection: "Connection",
    what: tuple[str, ...],
    wanted: "Filter | None",
    account: str | None,
    as_json: bool,
) -> None:
    from jobs.curate import exchange

    if len(what) > 1 or (action == "import" and not what):
        raise UsageError(f"{action} takes one file, which ends in .csv or .jsonl")
    if action == "import":
        show(exchange.read_in(bot, connection, what[0], account), as_json)
    else:
        click.echo(exchange.write_out(bot, connection, what[0] if what else None, wanted, as_json), nl=bool(what))


@click.command(epilog="Examples: mynah search fortune king · mynah search fortune '\"old king\" -queen'")
@verb
@click.argument("words")
@click.option("--limit", default=SHOWN, show_default=True, type=click.IntRange(1), help="At most, of each kind.")
@click.option("--in", "where", type=click.Choice(["scraped", "generated"]), help="Look there alone.")
def search(bot: str, overrides: tuple[str, ...], as_json: bool, words: str, limit: int, where: str | None) -> None:
    """Find WORDS in what was scraped and generated, and tell where each text stands.

    All words must be there, in any case. "A phrase" stands as it is, wor* begins a word, -without leaves out.
    """
    from jobs.curate.search import search
    from mynah.search import Search

    asked = Search.read(words)
    loaded, settings = load(bot, overrides)
    show(search(loaded, settings, asked, limit, where), as_json)
