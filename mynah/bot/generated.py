"""The files that are made from the bot file's models. `make generate` writes them: python -m mynah.bot.generated"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from mynah.bot.chart import bot_defaults, values_schema
from mynah.bot.reference import reference
from mynah.bot.schema import editor_schema


def _json(schema: dict[str, Any]) -> str:
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def _defaults() -> str:
    return "# Made by `make generate` from mynah/bot/.\n" + yaml.safe_dump(
        bot_defaults(), sort_keys=False, allow_unicode=True
    )


# Path in the repository → its text.
FILES: dict[str, Callable[[], str]] = {
    "charts/mynah/values.schema.json": lambda: _json(values_schema()),
    "charts/mynah/files/bot-defaults.yaml": _defaults,
    "docs/bot-file.md": reference,
    "docs/bot-file.schema.json": lambda: _json(editor_schema()),
}


def write(root: Path) -> None:
    """Write every file below the repository's root, and say which ones changed."""
    for name, text in FILES.items():
        path = root / name
        if not path.is_file() or path.read_text("utf-8") != text():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text(), "utf-8")
            print(name)


if __name__ == "__main__":
    write(Path(__file__).parents[2])
