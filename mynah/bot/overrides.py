"""YAML with line numbers, and Helm's `--set` syntax."""

import re
from typing import Any

import yaml

from mynah.errors import UsageError

SetPath = tuple[str | int, ...]


def compose_with_lines(text: str, name: str) -> tuple[Any, dict[SetPath, int]]:
    """Parse one YAML document. Returns its value and the line (from 1) of every key and list item.

    Raises UsageError on a syntax error and on a key that stands twice (YAML would keep the last).
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        value = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise UsageError(f"{name}:{line}: not valid YAML: {error.problem}") from None
    except yaml.YAMLError as error:
        raise UsageError(f"{name}: not valid YAML: {error}") from None
    lines: dict[SetPath, int] = {}

    def walk(node: yaml.Node | None, path: SetPath) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, child in node.value:
                where = (*path, key.value)
                if where in lines:
                    raise UsageError(
                        f"{name}:{key.start_mark.line + 1}: {'.'.join(map(str, where))} "
                        f"stands twice (first on line {lines[where]}): remove one"
                    )
                lines[where] = key.start_mark.line + 1
                walk(child, where)
        elif isinstance(node, yaml.SequenceNode):
            for index, child in enumerate(node.value):
                lines[(*path, index)] = child.start_mark.line + 1
                walk(child, (*path, index))

    walk(root, ())
    return value, lines


def apply_set(data: Any, override: str) -> list[SetPath]:
    """Apply one `--set` argument to `data` in place, as Helm does; return the paths it set.

    `a.b=1,c[0]=x` sets two values; `\\` escapes `.`, `,` and `=`; `{x,y}` is a list; true, false, null
    and whole numbers are typed, null removes the key; all else is a string.
    Rules: helm.sh/docs/intro/using_helm, "The Format and Limitations of --set".
    """
    assignments = _assignments(override)
    for path, raw in assignments:
        _assign(data, path, _value(raw), override)
    return [path for path, _ in assignments]


def set_paths(override: str) -> list[SetPath]:
    """The paths that one `--set` argument sets, by the same rules. Raises UsageError."""
    return [path for path, _ in _assignments(override)]


def _assignments(override: str) -> list[tuple[SetPath, str]]:
    found = []
    for assignment in _split(override, ","):
        key, equals, raw = _partition(assignment)
        if not equals or not key:
            raise UsageError(f"--set {override}: write it as path.to.key=value")
        found.append((_path(key, override), raw))
    return found


def _split(text: str, separator: str) -> list[str]:
    """Split on `separator` outside braces; a backslash and what it escapes stay as they are."""
    parts, depth, start = [], 0, 0
    for match in re.finditer(r"\\.|[{}" + re.escape(separator) + "]", text):
        mark = match.group()
        depth += (mark == "{") - (mark == "}")
        if mark == separator and depth == 0:
            parts.append(text[start : match.start()])
            start = match.end()
    return [*parts, text[start:]]


def _partition(assignment: str) -> tuple[str, bool, str]:
    match = re.match(r"((?:\\.|[^=\\])*)=(.*)", assignment, re.DOTALL)
    return (match.group(1), True, match.group(2)) if match else (assignment, False, "")


def _path(key: str, override: str) -> SetPath:
    path: list[str | int] = []
    for part in _split(key, "."):
        match = re.fullmatch(r"((?:\\.|[^\[\]\\])*)((?:\[\d+\])*)", part)
        if match is None or not match.group(1):
            raise UsageError(f"--set {override}: {key} is not a path such as a.b[0].c")
        path.append(_unescape(match.group(1)))
        path.extend(int(index) for index in re.findall(r"\d+", match.group(2)))
    return tuple(path)


def _value(raw: str) -> Any:
    if raw.startswith("{") and raw.endswith("}"):
        return [_value(item) for item in _split(raw[1:-1], ",")] if raw != "{}" else []
    if raw in ("true", "false"):
        return raw == "true"
    if raw == "null":
        return None
    # Helm keeps numbers with a leading zero as strings.
    return int(raw) if re.fullmatch(r"-?(0|[1-9]\d*)", raw) else _unescape(raw)


def _unescape(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text)


def _assign(data: Any, path: SetPath, value: Any, override: str) -> None:
    node = data
    for here, following in zip(path, (*path[1:], None), strict=True):
        fits = isinstance(node, list) if isinstance(here, int) else isinstance(node, dict)
        if not fits:
            raise UsageError(f"--set {override}: {here} does not lie in a {'list' if isinstance(here, int) else 'map'}")
        if isinstance(here, int):
            if here > len(node):
                raise UsageError(f"--set {override}: the list has {len(node)} items, so [{here}] leaves a gap")
            if here == len(node):
                node.append(None)
        if following is None:
            if value is None and isinstance(here, str):
                node.pop(here, None)
            else:
                node[here] = value
            return
        child = node.get(here) if isinstance(node, dict) else node[here]
        if child is None:
            child = node[here] = [] if isinstance(following, int) else {}
        node = child
