"""A model's chat template, which makes a prompt of a conversation.

Rendered by Jinja, with what transformers gives to a template (apply_chat_template). OpenVINO GenAI has a renderer of
its own, minja. It puts a system message into the user's where the template leaves one out or refuses it, tells errors
with places in the template's source, and its process dies of a division by zero.
"""

import json
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from serving.model.messages import Chat

if TYPE_CHECKING:
    from jinja2 import Environment, Template, nodes
    from jinja2.parser import Parser


class TemplateError(Exception):
    """The template makes no prompt of a conversation. The message is its own."""


class ChatTemplate:
    """The template of one model."""

    def __init__(self, folder: Path) -> None:
        """`folder` holds the model's tokenizer_config.json, which has a template."""
        self._folder = folder
        # Templates know them by these names: bos_token, eos_token, unk_token …
        self._tokens = {
            name: value["content"] if isinstance(value, dict) else value
            for name, value in _config(folder).items()
            if name.endswith("_token") and isinstance(value, str | dict)
        }

    def render(self, chat: Chat) -> str:
        """The prompt that the model's answer follows, its special tokens spelt out. Raises TemplateError."""
        try:
            return self._compiled.render(
                messages=list(chat.messages), add_generation_prompt=True, tools=None, documents=None, **self._tokens
            )
        except Exception as error:  # a template is a program, and fails as programs do
            raise TemplateError(str(error) or type(error).__name__) from error

    @cached_property
    def _compiled(self) -> "Template":
        return _environment().from_string(find_template(self._folder) or "")


def find_template(folder: Path) -> str | None:
    """The chat template of the tokenizer in `folder`; of several, the one named default."""
    found = _config(folder).get("chat_template")
    if isinstance(found, list):
        found = {one["name"]: one["template"] for one in found}.get("default")
    return found or None


def _config(folder: Path) -> dict[str, Any]:
    file = folder / "tokenizer_config.json"
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    return found


def _environment() -> "Environment":
    """Where templates find what transformers has for them, and nothing that harms."""
    # Here, so that the server, which asks only whether there is a template, does without.
    from jinja2 import TemplateRuntimeError, nodes
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """{% generation %}: marks, for those who train, what the model itself says. It changes no prompt."""

        tags = {"generation"}  # noqa: RUF012 — Jinja reads it

        def parse(self, parser: "Parser") -> "nodes.Scope":
            line = next(parser.stream).lineno
            return nodes.Scope(parser.parse_statements(("name:endgeneration",), drop_needle=True), lineno=line)

    def raise_exception(message: str) -> None:
        raise TemplateRuntimeError(message)

    def tojson(
        data: Any,
        ensure_ascii: bool = False,
        indent: int | None = None,
        separators: tuple[str, str] | None = None,
        sort_keys: bool = False,
    ) -> str:
        return json.dumps(data, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    def strftime_now(format: str) -> str:
        return datetime.now().strftime(format)

    made = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    made.filters["tojson"] = tojson
    made.globals |= {"raise_exception": raise_exception, "strftime_now": strftime_now}
    return made
