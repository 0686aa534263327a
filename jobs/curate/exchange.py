"""Texts in and out, as CSV for spreadsheets and as lines of JSON: `mynah curate BOT import FILE`, `export [FILE]`.

What is imported may have the columns of an export, or `id,tweet,tweet_timestamp,tweet_url`. A row with the time and the
address of a post becomes history: nothing posts it again. Ids are not taken over.
"""

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobs.accounts import choose
from mynah.bot import Bot
from mynah.database import imported, queue
from mynah.database.connection import Connection
from mynah.database.imported import Row
from mynah.database.queue import Filter
from mynah.database.tweets import Tweet
from mynah.errors import MynahError, UsageError
from mynah.rules import may_post
from mynah.text import storable

COLUMNS = ("id", "text", "state", "reason", "score", "prompt", "model", "created_at", "posted_at", "post_url")
ALSO = {"tweet": "text", "tweet_timestamp": "posted_at", "tweet_url": "post_url"}
NOTHING = ("", "null", "none", "\\n")  # how a table's export writes that there is nothing
NAMED = 5  # wrong lines that are named
# A spreadsheet takes these beginnings for a formula, which may fetch and send what it likes.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_QUOTED = re.compile(r"'+[=+\-@\t\r]")


@dataclass(frozen=True)
class Imported:
    """What became of a file's rows."""

    file: str
    candidates: int
    approved: int
    posted: int
    known: int
    """Rows that the bot had already, as they are."""

    def summary(self) -> str:
        return (
            f"{self.file}: {self.candidates} candidates, {self.approved} approved, {self.posted} posted before, "
            f"{self.known} known already"
        )


def read_in(bot: Bot, connection: Connection, path: str, account: str | None) -> Imported:
    """Store a file's texts, all or none: what is there already stays as it is.

    `account`: where the file's posts are, in a bot with several. Raises MynahError that names the wrong lines.
    """
    problems: list[str] = []
    rows: list[Row] = []
    lines: dict[str, int] = {}
    for line, fields in _lines(path):
        try:
            row = _row(bot, fields)
            if row.post_url and (first := lines.setdefault(row.post_url, line)) != line:
                raise ValueError(f"post_url is that of line {first} too")
            rows.append(row)
        except ValueError as error:
            problems.append(f"line {line}: {error}")
    if problems:
        more = f", and {len(problems) - NAMED} more" if len(problems) > NAMED else ""
        raise MynahError(f"{path}: {'; '.join(problems[:NAMED])}{more}; nothing was imported")
    where = choose(bot, account)[0] if lines or account else "main"
    return Imported(path, **imported.store(connection, bot.name, where, rows))


def write_out(bot: Bot, connection: Connection, path: str | None, wanted: Filter | None, as_json: bool) -> str:
    """Write the bot's texts, all or those that fit, to a file or to standard output; returns what to say."""
    found = queue.every(connection, bot.name) if wanted is None else queue.find(connection, bot.name, wanted)
    if path is None:
        sys.stdout.writelines(_written(found, "jsonl" if as_json else "csv"))
        return ""
    form = _form(path)
    target = Path(path)
    partial = target.with_name(f".{target.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="") as file:
            file.writelines(_written(found, form))
        partial.replace(target)
    except OSError as error:
        raise MynahError(f"{path}: {error.strerror}") from None
    finally:
        partial.unlink(missing_ok=True)
    return f"{len(found)} texts in {path}"


def _written(found: Iterable[Tweet], form: str) -> Iterator[str]:
    rows = ({name: getattr(tweet, name) for name in COLUMNS} for tweet in found)
    if form == "jsonl":
        yield from (json.dumps(row, default=datetime.isoformat, ensure_ascii=False) + "\n" for row in rows)
        return
    sheet = io.StringIO(newline="")
    writer = csv.DictWriter(sheet, COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
        yield sheet.getvalue()
        sheet.seek(0)
        sheet.truncate()
    yield sheet.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if _FORMULA.match(value) else value
    return value.isoformat() if isinstance(value, datetime) else value


def _form(path: str) -> str:
    form = Path(path).suffix.lower().removeprefix(".")
    if form not in ("csv", "jsonl"):
        raise UsageError(f"{path}: name a file that ends in .csv or .jsonl")
    return form


def _lines(path: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Each row with the line that it begins at. Raises MynahError where the file is none of its kind."""
    form = _form(path)
    try:
        text = Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise MynahError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise MynahError(f"{path}: byte {error.start} is not UTF-8: save it as UTF-8") from None
    yield from _csv(path, text) if form == "csv" else _json(path, text)


def _csv(path: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    if "text" not in (names := [ALSO.get(name.strip(), name.strip()) for name in reader.fieldnames or ()]):
        raise MynahError(f"{path}: line 1 names no column text or tweet; it has {', '.join(names) or 'nothing'}")
    reader.fieldnames = names
    line = reader.line_num + 1
    try:
        for fields in reader:
            if None in fields:
                raise MynahError(f"{path}: line {line} has more fields than line 1 names; nothing was imported")
            yield line, {str(name): _plain(value) for name, value in fields.items()}
            line = reader.line_num + 1
    except csv.Error as error:
        raise MynahError(f"{path}: line {line}: {error}; nothing was imported") from None


def _plain(value: str | None) -> str | None:
    """A cell without the mark that `_cell` puts before what looks like a formula."""
    return value[1:] if value and _QUOTED.match(value) else value


def _json(path: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, each in enumerate(text.split("\n"), 1):
        if not each.strip():
            continue
        try:
            fields = json.loads(each)
        except ValueError as error:
            raise MynahError(f"{path}: line {line}: no JSON ({error}); nothing was imported") from None
        if not isinstance(fields, dict):
            raise MynahError(f"{path}: line {line}: no JSON object; nothing was imported")
        yield line, {str(ALSO.get(name, name)): value for name, value in fields.items()}


def _given(fields: dict[str, Any], name: str) -> str:
    """A field as text; "" where there is nothing."""
    value = fields.get(name)
    text = "" if value is None else str(value)
    return "" if name != "text" and text.strip().lower() in NOTHING else text


def _row(bot: Bot, fields: dict[str, Any]) -> Row:
    """Raises ValueError, which tells what is wrong, where a row is no text of the bot's."""
    text, state = _given(fields, "text").strip(), _given(fields, "state") or "candidate"
    posted_at, post_url = _given(fields, "posted_at"), _given(fields, "post_url")
    if not text:
        raise ValueError("the text is empty")
    if storable(text) != text:
        raise ValueError("the text has a character that Postgres does not keep")
    if bool(posted_at) != bool(post_url):
        raise ValueError("a post has a time and an address: it has only one of them")
    if posted_at:
        return Row(text, "posted", None, _prompt(fields), _model(fields), _score(fields), _time(posted_at), post_url)
    if state not in ("candidate", "approved", "rejected"):
        raise ValueError(f"state {state}: take candidate, approved or rejected, or give a post's time and address")
    if state == "approved" and (rejection := may_post(text, bot.judge)):
        raise ValueError(f"the text cannot be posted: {rejection.words}")
    reason = (_given(fields, "reason") or "rejected in the file") if state == "rejected" else None
    return Row(text, state, reason, _prompt(fields), _model(fields), _score(fields))


def _prompt(fields: dict[str, Any]) -> str:
    return _given(fields, "prompt").replace("\0", "")


def _model(fields: dict[str, Any]) -> str | None:
    return _given(fields, "model").replace("\0", "") or None


def _score(fields: dict[str, Any]) -> float | None:
    given = _given(fields, "score")
    try:
        score = float(given) if given else None
    except ValueError:
        score = -1.0
    if score is not None and not 0 <= score <= 1:
        raise ValueError(f"score {given} is no number from 0 to 1")
    return score


def _time(given: str) -> datetime:
    """An ISO time; in UTC where no zone is named."""
    try:
        time = datetime.fromisoformat(given.strip().removesuffix(" UTC"))
    except ValueError:
        raise ValueError(f"time {given} is none such as 2026-11-27 15:00:00") from None
    return time if time.tzinfo else time.replace(tzinfo=UTC)
