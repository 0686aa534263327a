"""What changed from one cursor to the next, for one that is too long to stand in every page: RFC 7396."""

from typing import Any

from scrapers.page import Cursor


def difference(old: Cursor, new: Cursor) -> Cursor | None:
    """The merge patch that makes `new` of `old`; None where there is none, since null means "removed" in a patch."""
    patch: dict[str, Any] = dict.fromkeys(old.keys() - new.keys())
    for key, value in new.items():
        if key in old and old[key] == value:
            continue
        if isinstance(value, dict):
            before = old.get(key)
            inner = difference(before if isinstance(before, dict) else {}, value)
            if inner is None or (not inner and not isinstance(before, dict)):  # nor does a patch make an empty map
                return None
            patch[key] = inner
        elif value is None:
            return None
        else:
            patch[key] = value
    return patch


def merged(cursor: Cursor, patch: Cursor) -> Cursor:
    """The cursor, with what a merge patch changes."""
    result = {key: value for key, value in cursor.items() if patch.get(key, value) is not None or key not in patch}
    for key, value in patch.items():
        if isinstance(value, dict):
            before = cursor.get(key)
            result[key] = merged(before if isinstance(before, dict) else {}, value)
        elif value is not None:
            result[key] = value
    return result
