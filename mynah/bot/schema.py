"""The JSON schema of a bot file, for editors: completion, and mistakes shown while one types."""

from typing import Any

from mynah.bot.spec import BotFile

DRAFT = "http://json-schema.org/draft-07/schema#"


def editor_schema() -> dict[str, Any]:
    """The schema that the first line of each of bots/*.yaml names for yaml-language-server."""
    schema = BotFile.model_json_schema()
    tidy(schema)
    return {"$schema": DRAFT, "title": "A bot file of mynah", **schema}


def tidy(node: Any) -> None:
    """In place: no titles, which only repeat the keys; a map with checked keys admits no others."""
    if isinstance(node, list):
        for item in node:
            tidy(item)
    if not isinstance(node, dict):
        return
    if isinstance(node.get("title"), str):
        del node["title"]
    if "$ref" in node:
        node.pop("default", None)  # the section has its own
    if "patternProperties" in node:
        node["additionalProperties"] = False
    for item in node.values():
        tidy(item)
