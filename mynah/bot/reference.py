"""The bot file's reference page, docs/bot-file.md: every key with its unit, its default and its meaning."""

import json
from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic.fields import FieldInfo

from mynah.bot.accounts import KINDS as ACCOUNTS
from mynah.bot.section import Section, Unit
from mynah.bot.sources import KINDS as SOURCES
from mynah.bot.spec import BotSpec

INTRODUCTION = """\
# The bot file

A bot file is YAML and describes one bot: what it reads, learns, says and posts. The same file runs the bot on one
machine (`mynah run bots/magpie.yaml`) and is a values file of the Helm chart (`helm install … -f bots/magpie.yaml`).
A key that is left out has the default below; only `sources` is needed. A key that is not below is refused.
`mynah VERB BOT --set bots.NAME.train.epochs=2` changes a key for one call, in Helm's syntax.

The comment on the first line lets an editor with a YAML language server complete keys and show mistakes.

```yaml
# yaml-language-server: $schema=../docs/bot-file.schema.json
bots:
  magpie:
    description: Collects what glitters.
    sources:
      quotes: {url: data/quotes.csv}
    clean: {min_words: 4}
    train: {epochs: 2}
    judge: {allow_links: false}
    accounts:
      tryout: {kind: outbox, schedule: "0 * * * *"}
      news: {kind: x, env: NEWS_, schedule: "0 9,18 * * *", time_zone: Europe/Berlin}
```

This page is made from the code: change the fields in mynah/bot/, then run `make generate`.
"""
KINDS: Mapping[str, Mapping[str, type[Section]]] = {"sources": SOURCES, "accounts": ACCOUNTS}
UNITS: dict[Any, str] = {bool: "true or false", str: "text", list: "list of texts"}


def reference() -> str:
    """The whole page, as Markdown."""
    return "\n".join([INTRODUCTION, *_bot(), *(line for name in BotSpec.model_fields for line in _section(name))])


def _bot() -> Iterator[str]:
    yield "## The keys of a bot\n"
    yield "Those that lead on to a table are maps.\n"
    yield "| Key | Meaning |\n|---|---|"
    for name, field in BotSpec.model_fields.items():
        shown = f"`{name}`" if field.annotation is str else f"[`{name}`](#{name})"
        yield f"| {shown} | {_words(field.description)} |"
    yield ""


def _section(name: str) -> Iterator[str]:
    field = BotSpec.model_fields[name]
    if name in KINDS:
        yield f"## {name}\n"
        yield f"{_words(field.description)} A name is of lower-case letters, digits and `-`, at most 24.\n"
        for kind, section in KINDS[name].items():
            yield f"### kind: {kind}\n"
            yield from _table(section)
    elif isinstance(field.annotation, type) and issubclass(field.annotation, Section):
        yield f"## {name}\n"
        yield from _table(field.annotation)


def _table(section: type[Section]) -> Iterator[str]:
    yield f"{_words(section.__doc__)}\n"
    yield "| Key | Unit | Default | Meaning |\n|---|---|---|---|"
    for name, field in section.model_fields.items():
        yield from _rows(name, field)
    yield ""


def _rows(name: str, field: FieldInfo) -> Iterator[str]:
    """A line for a key; for one that is a section itself, a line for each key in it."""
    if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
        for key, inner in field.annotation.model_fields.items():
            yield from _rows(f"{name}.{key}", inner)
    else:
        yield f"| `{name}` | {_unit(field)} | {_default(field)} | {_words(field.description)} |"


def _words(text: str | None) -> str:
    """A docstring on one line, as it may stand in a cell of a table."""
    return " ".join((text or "").split()).replace("|", "\\|").replace("&", "&amp;").replace("<", "&lt;")


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**must be given**"
    return "none" if field.default is None else f"`{json.dumps(field.default, ensure_ascii=False, default=str)}`"


def _unit(field: FieldInfo) -> str:
    """What the value counts, and its range: "rows, 1 or more"."""
    (kind, *others) = [part for part in get_args(field.annotation) or [field.annotation] if part is not NoneType]
    if get_origin(field.annotation) is Literal:
        return ", ".join(f"`{value}`" for value in (kind, *others))
    found = [one.name for one in (*getattr(kind, "__metadata__", ()), *field.metadata) if isinstance(one, Unit)]
    plain = kind if NoneType in get_args(field.annotation) else field.annotation
    unit = found[-1] if found else UNITS[get_origin(plain) or plain]
    return ", ".join([unit, *_range(field)])


def _range(field: FieldInfo) -> Iterator[str]:
    low: Any = None
    for bound in field.metadata:  # the lower one comes first
        match bound:
            case annotated_types.Ge(ge=low):
                pass
            case annotated_types.Gt(gt=below):
                yield f"above {below}"
            case annotated_types.Le(le=high):
                yield f"at most {high}" if low is None else f"{low} to {high}"
                return
            case annotated_types.Lt(lt=above):
                yield f"below {above}" if low is None else f"{low} or more, below {above}"
                return
    if low is not None:
        yield f"{low} or more"
