"""How coarse a text is: by lists of words, offline, in the languages where that was measured.

Why lists of our own: the field's models are downloaded from a hub, and the labelled texts that one could train on are
not to be trained on. A list says which word it was, does nothing to names, and is read in a millisecond.
`make bench PART=toxicity` measures them; docs/curating.md has the figures. A language without a list has no filter.
"""

import functools
import unicodedata
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import regex

# A threshold for each language: the one that was best on every other labelled text, of those with few false alarms.
Language = Literal["en", "ru"]
MEASURED: dict[Language, float] = {"en": 0.75, "ru": 0.75}

PREFIXES = "(?:за|на|по|вы|у|от|отъ|об|объ|пере|при|про|до|с|съ|раз|разъ|рас|из|изъ|под|подъ|взъ|въ|недо|ис|не|долбо)?"
_SKIPPED = regex.compile(r"https?://\S+|[\u200b-\u200f\u2060\ufeff\u00ad]")
_NAME = regex.compile(r"(?<![\w@])@\w+")
_TOKEN = regex.compile(r"[\p{L}\p{N}*@$!'’]+")
_SPELLED = regex.compile(r"(?<![\p{L}\p{N}])(?:\p{L}[ .\-_]){2,}\p{L}(?![\p{L}\p{N}])")  # f u c k
_AROUND = "*@$!'’"
_LONG = regex.compile(r"(\p{L})\1{2,}")
_LEET = str.maketrans("013457@$!", "oieastasi")
_ALIKE = "aceopxykmtbh", "асеорхукмтвн"  # Latin letters that look like Cyrillic ones
_CYRILLIC, _LATIN = regex.compile(r"\p{Cyrillic}"), regex.compile(r"\p{Latin}")


@dataclass(frozen=True)
class Found:
    """How toxic a text is, in 0..1, and the words that make it so, the worst first, as they stand there."""

    toxicity: float
    words: tuple[str, ...]


def toxicity(text: str, languages: Collection[str], allowed: Collection[str] = ()) -> Found:
    """By the lists of these languages; those without one are passed over. `allowed` words never count."""
    passed = frozenset(word.lower().replace("ё", "е") for word in allowed)
    worst: dict[str, float] = {}
    for language in languages:
        if language in MEASURED:
            for shown, weight in _read(language).weigh(text, passed):
                worst[shown] = max(weight, worst.get(shown, 0.0))
    clean = 1.0
    for weight in worst.values():
        clean *= 1 - weight
    return Found(round(1 - clean, 3), tuple(sorted(worst, key=lambda word: -worst[word])))


class _List:
    """The words of a language, by how toxic they are."""

    def __init__(self, language: str) -> None:
        entries: dict[float, list[str]] = {}
        weight = 0.0
        for line in Path(__file__).with_name(f"{language}.txt").read_text("utf-8").splitlines():
            if line.replace(".", "").isdigit():
                weight = float(line)
            elif not line.startswith("#"):
                entries.setdefault(weight, []).extend(line.split())
        self._cyrillic = language == "ru"
        self._words = [(weight, _any(words, "_", False)) for weight, words in sorted(entries.items(), reverse=True)]
        self._words.sort(key=lambda pair: pair[0] > 0)  # what only looks like another word comes first
        self._phrases = [(weight, _any(words, "_", True)) for weight, words in entries.items()]
        self._starred = [word for weight, words in entries.items() if weight >= 0.8 for word in words]
        self._weight = functools.lru_cache(1 << 14)(self._weigh)

    def weigh(self, text: str, allowed: frozenset[str]) -> Iterator[tuple[str, float]]:
        """The words of a text that are in the list, as they stand there, and how toxic each is."""
        plain = _NAME.sub(" ", _SKIPPED.sub("", unicodedata.normalize("NFKC", text))).lower().replace("ё", "е")
        plain = _SPELLED.sub(lambda match: "".join(filter(str.isalpha, match[0])), plain)
        tokens = [token for token in _TOKEN.findall(plain) if token.strip(_AROUND) not in allowed]
        joined, starts = "", []
        for token in tokens:
            starts.append(len(joined))
            joined += token.strip(_AROUND) + " "
        passed = [match.span() for weight, found in self._phrases if not weight for match in found.finditer(joined)]

        def is_passed(place: int) -> bool:
            return any(begin <= place < end for begin, end in passed)

        for token, start in zip(tokens, starts, strict=True):
            if (weight := self._weight(token)) and not is_passed(start):
                yield token.rstrip("!'’"), weight
        for weight, found in self._phrases:
            for match in found.finditer(joined) if weight else ():
                if not is_passed(match.start()):
                    yield match[0], weight

    def _weigh(self, token: str) -> float:
        for spelling in self._spellings(token):
            for weight, words in self._words:
                if words.fullmatch(spelling):
                    if weight:
                        return weight
                    break
        inner = token.strip("@$!'’").lstrip("*")
        if "*" in inner.rstrip("*") and sum(map(str.isalpha, inner)) >= 2:
            return 0.8 if any(_fits(inner, word) for word in self._starred) else 0.0
        return 0.0

    def _spellings(self, token: str) -> Iterator[str]:
        """The words that a token may stand for: digits for letters, letters of another script, drawn-out ones."""
        word = token.strip(_AROUND)
        if not word.isalpha():
            word = word.replace("'", "").replace("’", "")
            if any(map(str.isalpha, word)) and not self._cyrillic:
                yield token.rstrip("!*'’").translate(_LEET)
        if self._cyrillic and _CYRILLIC.search(word):
            word = word.translate(str.maketrans(*_ALIKE)).replace("0", "о").replace("3", "з")
        elif not self._cyrillic and _LATIN.search(word):
            word = word.translate(str.maketrans(*reversed(_ALIKE)))
        yield word
        if (once := _LONG.sub(r"\1", word)) != word:
            yield once
            yield _LONG.sub(r"\1\1", word)


def _any(words: list[str], space: str, phrases: bool) -> "regex.Pattern[str]":
    """Matches any of the words that are phrases, or any of those that are not."""
    forms = []
    for word in words:
        if (space in word) == phrases:
            form = regex.escape(word.replace(space, " "), special_only=True)
            form = form.replace(r"\~", "~").replace(r"\*", r"\p{L}*").replace(r"\?", r"\p{L}?").replace("~", PREFIXES)
            forms.append(form)
    either = "|".join(forms) or "(?!)"
    return regex.compile(rf"\b(?:{either})\b" if phrases else either)


def _fits(token: str, entry: str) -> bool:
    """Whether a token whose letters are partly stars, as in f*ck, may be this word of the list."""
    stem = entry.rstrip("*")
    if "*" in stem or "~" in stem or "_" in stem or len(stem) < 3:
        return False
    if len(token) < len(stem) or (len(token) > len(stem) and not entry.endswith("*")):
        return False
    return all(one in ("*", other) for one, other in zip(token, stem, strict=False))


@functools.cache
def _read(language: str) -> _List:
    return _List(language)
