"""A list of rows in JSON: read whole where it is short, else a row at a time."""

import json
import re
from collections.abc import Iterator
from typing import Any, TextIO

from mynah.errors import MynahError

WHOLE = 8 << 20  # characters, up to which it is read whole: it takes some ten times as much memory
AT_ONCE = 1 << 20  # characters
LONGEST = 32 << 20  # of a row, in characters
LONGEST_NUMBER = 5000  # digits, of which Python reads no more
SPACE = re.compile(r"[ \t\n\r]*")
NO_LIST = "holds no list of rows: want a JSON list, or an object with one list in it"


def read_list(text: TextIO, url: str) -> Iterator[Any]:
    """The rows of a JSON list, or of the one list that an object holds, as Telegram's {"messages": […]}.

    Raises MynahError where there is none. Of a long text, that may be after rows were given.
    """
    begin = text.read(WHOLE)
    if len(begin) == WHOLE:
        yield from _Reader(begin, text, url).rows()
        return
    data = parse(begin, url)
    if isinstance(data, dict):
        lists = [value for value in data.values() if isinstance(value, list)]
        data = lists[0] if len(lists) == 1 else None
    if not isinstance(data, list):
        raise MynahError(f"{url}: {NO_LIST}")
    yield from data


def parse(text: str, url: str, line: int = 1) -> Any:
    """JSON data; `line` is where `text` begins in the file."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise MynahError(f"{url}:{line + error.lineno - 1}: not valid JSON: {error.msg}") from None
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits, lists in lists in lists
        raise MynahError(f"{url}:{line}: not JSON that can be read: {error}") from None


class _Reader:
    """A long text, of which a part is held."""

    def __init__(self, begin: str, text: TextIO, url: str) -> None:
        self._held, self._text, self._url = begin, text, url
        self._at, self._line, self._ended = 0, 1, False
        self._decoder = json.JSONDecoder()

    def rows(self) -> Iterator[Any]:
        if self._next("[{") == "[":
            yield from self._list()
        else:
            lists, more = 0, self._next('"}') == '"'
            while more:
                self._at -= 1
                self._value()  # its name
                self._next(":")
                if self._peek() == "[":
                    lists += 1
                    if lists == 1:
                        self._at += 1
                        yield from self._list()
                    else:
                        raise MynahError(f"{self._url}: {NO_LIST}")
                else:
                    self._value()
                more = self._next(",}") == ","
                if more:
                    self._next('"')
            if not lists:
                raise MynahError(f"{self._url}: {NO_LIST}")
        if self._peek():
            raise self._error("Extra data")

    def _list(self) -> Iterator[Any]:
        if self._peek() == "]":
            self._at += 1
            return
        while True:
            yield self._value()
            if self._next(",]") == "]":
                return

    def _peek(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            space = SPACE.match(self._held, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._held) or not self._more():
                return self._held[self._at : self._at + 1]

    def _next(self, wanted: str) -> str:
        found = self._peek()
        if not found or found not in wanted:
            raise self._error(f"Expecting {' or '.join(wanted)}")
        self._at += 1
        return found

    def _value(self) -> Any:
        self._peek()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._held, self._at)
                after = self._held[end : end + 1]
                if self._ended or (after and (after in ",]} \t\n\r" or not isinstance(value, int | float))):
                    self._at = end
                    return value
                if len(self._held) - end > LONGEST_NUMBER:  # else it may be the first half of a number
                    raise self._error("Extra data", end)
            except json.JSONDecodeError as error:
                if self._ended or len(self._held) - self._at > LONGEST:
                    raise self._error(error.msg, error.pos) from None
            except (ValueError, RecursionError) as error:
                raise self._error(str(error)) from None
            self._more()

    def _more(self) -> bool:
        """Hold more, at least as much again as is in the way; whether there was more."""
        self._line += self._held.count("\n", 0, self._at)
        self._held = self._held[self._at :]
        self._at = 0
        more = "" if self._ended else self._text.read(max(AT_ONCE, len(self._held)))
        self._held += more
        self._ended = not more
        return bool(more)

    def _error(self, why: str, at: int | None = None) -> MynahError:
        line = self._line + self._held.count("\n", 0, self._at if at is None else at)
        return MynahError(f"{self._url}:{line}: not valid JSON: {why}")
