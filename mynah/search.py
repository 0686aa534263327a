"""What people look for: words, "a phrase", -without, wor* for the beginning of one. All of them must be there."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from mynah.errors import UsageError

_TERM = re.compile(r'(?P<without>-?)(?:"(?P<phrase>[^"]*)"?|(?P<word>[^\s"]+))')


@dataclass(frozen=True)
class Term:
    """Words that stand side by side, in any case."""

    words: str
    begins: bool
    """Whether the last word is only the beginning of one."""
    without: bool


@dataclass(frozen=True)
class Search:
    """What is looked for."""

    terms: list[Term]

    @classmethod
    def read(cls, asked: str) -> "Search":
        """Raises UsageError where no word is asked for."""
        terms = []
        for found in _TERM.finditer(asked.replace("\0", " ")):
            words = found["phrase"] if found["phrase"] is not None else found["word"]
            if any(map(str.isalnum, words)):
                terms.append(Term(words.rstrip("*"), words.endswith("*"), bool(found["without"])))
        if all(term.without for term in terms):
            raise UsageError(f'no word to look for in {asked!r}: give words, "a phrase", wor* or -without')
        return cls(terms)

    def sql(self, column: str) -> tuple[str, dict[str, Any]]:
        """The condition that a column has them, as the index on its `to_tsvector` answers it; and its arguments."""
        queries, arguments = [], {}
        for number, term in enumerate(self.terms):
            query = f"phraseto_tsquery('simple', %(term{number})s)"
            if term.begins:
                query = f"coalesce(nullif({query}::text, '') || ':*', '')::tsquery"
            queries.append(f"!!{query}" if term.without else query)
            arguments[f"term{number}"] = term.words
        return f"to_tsvector('simple', {column}) @@ ({' && '.join(queries)})", arguments

    def matches(self, text: str) -> bool:
        """Whether a text has them."""
        return all((pattern.search(text) is None) == term.without for term, pattern in self._patterns())

    def longest(self) -> re.Pattern[str]:
        """What every text has that matches: to pass over others quickly."""
        words = (word for term in self.terms if not term.without for word in term.words.split())
        return re.compile(re.escape(max(words, key=len)), re.IGNORECASE)

    def _patterns(self) -> Iterator[tuple[Term, re.Pattern[str]]]:
        for term in self.terms:
            words = r"\W+".join(re.escape(word) for word in term.words.split())
            yield term, re.compile(rf"(?<!\w){words}" + ("" if term.begins else r"(?!\w)"), re.IGNORECASE)


def any_of(words: Iterable[str], column: str) -> tuple[str, dict[str, Any]]:
    """The condition that a column has one of these words, as that index answers it; and its arguments."""
    arguments = {f"any{number}": word for number, word in enumerate(words)}
    queries = " || ".join(f"phraseto_tsquery('simple', %({name})s)" for name in arguments)
    return f"to_tsvector('simple', {column}) @@ ({queries})", arguments
