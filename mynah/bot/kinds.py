"""A section that comes in kinds: its key `kind` says which class reads the rest of it."""

import difflib
from collections.abc import Mapping
from typing import Any, cast

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from mynah.bot.section import Section


class Kind(Section):
    """A section of one of several kinds. Each kind is a class, whose `kind` has its name for the only value."""

    kind: str


class OneOf:
    """Annotates a field with a table from kind to class; where `kind` is left out, it is `default`.

    The table is read when the model with the field is built.
    """

    def __init__(self, kinds: Mapping[str, type[Kind]], default: str | None = None) -> None:
        self.kinds = kinds
        self.default = default

    def __get_pydantic_core_schema__(self, _base: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        classes = {_tag(kind): handler.generate_schema(section) for kind, section in self.kinds.items()}
        union = core_schema.tagged_union_schema(classes, discriminator=lambda value: _tag(self._kind(value)))
        return core_schema.no_info_before_validator_function(self._check, union)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """If it is of this kind, then its keys are these.

        Of a mistake inside pydantic's own `oneOf`, Helm and editors would say only that no kind fits.
        """
        union = cast(core_schema.TaggedUnionSchema, cast(core_schema.BeforeValidatorFunctionSchema, schema)["schema"])
        branches = []
        for kind in self.kinds:
            is_kind: dict[str, Any] = {"properties": {"kind": {"const": kind}}}
            if kind != self.default:
                is_kind["required"] = ["kind"]
            branches.append({"if": is_kind, "then": handler(union["choices"][_tag(kind)])})
        said: dict[str, Any] = {} if self.default else {"required": ["kind"]}
        return {"type": "object", "properties": {"kind": {"enum": [*self.kinds]}}, **said, "allOf": branches}

    def _kind(self, value: Any) -> Any:
        return value.get("kind", self.default) if isinstance(value, dict) else getattr(value, "kind", None)

    def _check(self, value: Any) -> Any:
        """Say what is wrong with `kind` before the union does, which knows no nearest name."""
        if isinstance(value, Kind):
            return value
        if not isinstance(value, dict):
            raise PydanticCustomError("not_a_map", "not a map of keys to values")
        kind, known = self._kind(value), ", ".join(self.kinds)
        if kind is None:
            raise PydanticCustomError("missing_kind", "missing; known: {known}", {"known": known, "at": ("kind",)})
        if kind not in [*self.kinds]:  # a list, as YAML's value need not be hashable
            near = difflib.get_close_matches(str(kind), self.kinds, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]}? " if near else ""
            raise PydanticCustomError(
                "unknown_kind",
                "unknown kind {kind}; {hint}known: {known}",
                {"kind": str(kind), "hint": hint, "known": known, "at": ("kind",)},
            )
        return value


def _tag(kind: Any) -> str:
    return f"[kind={kind}]"


def is_tag(part: str | int) -> bool:
    """Whether this part of an error's place is not a key of the file, but the kind that the union took."""
    return isinstance(part, str) and part.startswith("[kind=")
