"""Find a bot file and read it; whatever is wrong with it is one line that says where."""

import difflib
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from mynah.bot.kinds import is_tag
from mynah.bot.overrides import SetPath, apply_set, compose_with_lines
from mynah.bot.spec import Bot, BotFile
from mynah.errors import UsageError


def load(path: Path, overrides: Iterable[str] = ()) -> Bot:
    """Read the bot file at `path`; `overrides` are `path.to.key=value` strings as Helm's --set takes.

    Raises UsageError with one line that says file, line, key and what is wrong with it.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such bot file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    data, lines = compose_with_lines(text, str(path))
    origins: dict[SetPath, str] = {}
    for override in overrides:
        for key in apply_set(data, override):
            origins[key] = f"--set {override}"
    try:
        (name, spec), *_ = BotFile.model_validate(data or {}).bots.items()
    except ValidationError as error:
        raise UsageError(_first_error(error, path, lines, origins)) from None
    return Bot(name=name, **{field: getattr(spec, field) for field in spec.model_fields_set})


def find(bot: str, folder: Path) -> Path:
    """The path of the bot file that `bot` means: a path to it, or a bot's name in `folder`.

    Raises UsageError where there is none, with the names that `folder` holds.
    """
    if bot.endswith((".yaml", ".yml")) or "/" in bot:
        return Path(bot)
    path = folder / f"{bot}.yaml"
    if not path.is_file():
        known = sorted(p.stem for p in folder.glob("*.yaml"))
        near = difflib.get_close_matches(bot, known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"{folder}/ has: {', '.join(known) or 'no bot file'}"
        raise UsageError(f"no bot named {bot}: {path} does not exist; {hint}")
    return path


def _first_error(error: ValidationError, path: Path, lines: dict[SetPath, int], origins: dict[SetPath, str]) -> str:
    """One line for the first mistake, and how many more there are."""
    first, *more = error.errors(include_url=False)
    # Our own checks look at a whole section, and say in `at` which key of it they mean.
    where: SetPath = (
        *(part for part in first["loc"] if part != "[key]" and not is_tag(part)),
        *first.get("ctx", {}).get("at", ()),
    )
    origin = next((origins[where[:n]] for n in range(len(where), 0, -1) if where[:n] in origins), None)
    if origin is None and where not in lines:  # a key above the one that was set, which the file does not have
        origin = next((said for path, said in origins.items() if path[: len(where)] == where), None)
    if origin is None:
        line = next((lines[where[:n]] for n in range(len(where), 0, -1) if where[:n] in lines), 1)
        origin = f"{path}:{line}"
    rest = f" (and {len(more)} more)" if more else ""
    return f"{origin}: {'.'.join(map(str, where)) or 'the file'}: {_message(first)}{rest}"


def _message(error: ErrorDetails) -> str:
    """What is wrong, in the bot file's words rather than in pydantic's."""
    match error["type"], error["loc"]:
        case "missing", _:
            return "missing"
        case "model_type" | "dict_type", _:
            return "not a map of keys to values"
        case "string_pattern_mismatch", (*_, "[key]"):
            return "not a name: lower-case letters, digits and '-', at most 24, e.g. my-bot"
        case "too_long", ("bots",):
            return "one bot per file: split this one"
    return error["msg"].removeprefix("Value error, ")
