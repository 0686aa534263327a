"""How a Russian text sounds, by the words of russian.txt, its emoji and its sad brackets.

Why a list of our own: RuSentiLex, LINIS Crowd and KartaSlovSent forbid commercial use (CC BY-NC-SA), and a list that
was translated by machine did worse.
"""

import functools
import re
from dataclasses import dataclass
from pathlib import Path

WORDS = Path(__file__).with_name("russian.txt")
# An emoji counts once, however often it stands there.
GOOD_EMOJI = frozenset(
    "😍🥰😘❤♥💕💖💗💓💞💘💝💙💚💛💜🧡🤍😊☺😄😁😀😃😆😂🤣😋😎🤗😇🥳🎉🔥👍👏✨💪🙏🤩😻🌸🌹🎂🎁💋👌😌😚😉🙂🥂🌞"
)
BAD_EMOJI = frozenset("😢😭😡😠🤬💔😞😔😟😩😫😖😣😤🤢🤮👎😒🙄😑😐😕☹🙁😰😨😱💀🤡😿😥😓🤦🤕🤒😷😪🥺")
NOT = frozenset(["не", "нет", "ни", "без", "нету", "нельзя", "ничего", "никакой", "никакая", "никакое"])
# They may stand between "не" and the word that it is about.
BETWEEN = frozenset(
    ["очень", "оч", "так", "такой", "такая", "такое", "такие", "слишком", "совсем", "особо", "самый", "самая", "самое"]
)

_ELSEWHERE = re.compile(r"https?://\S+|@\w+")
_LONG = re.compile(r"(\w)\1{2,}")  # "нееет"
_BRACKETS = re.compile(r"\([^()]*\)")
_PIECES = re.compile(r"[а-я]+|[.,!?;:\n]")


def valence(text: str) -> float:
    """How good (above 0) or bad (below 0) a text sounds; 0 where nothing in it tells."""
    text = _LONG.sub(r"\1", _ELSEWHERE.sub(" ", text).lower().replace("ё", "е"))
    total = float(bool(GOOD_EMOJI & set(text)) - bool(BAD_EMOJI & set(text)))
    # Many close any sentence with a ")", which then says nothing; a "(" that nothing closes is a sad face.
    total -= "(" in _BRACKETS.sub("", text)
    negated = False
    for piece in _PIECES.findall(text):
        if piece in NOT:
            negated = True
        elif piece not in BETWEEN:
            total += _negated(_list()[piece]) if negated else _list()[piece]
            negated = False
    return total


def _negated(weight: int) -> int:
    """What is not good is bad; what is not bad is nothing in particular."""
    return min(0, -weight)


@functools.cache
def _list() -> "_List":
    weights: dict[str, int] = {}
    weight = 0
    for line in WORDS.read_text("utf-8").splitlines():
        if line.lstrip("-").isdigit():
            weight = int(line)
        elif not line.startswith("#"):
            weights |= dict.fromkeys(line.split(), weight)
    return _List(weights)


@dataclass(frozen=True)
class _List:
    """Weights of words, and of beginnings of words, which end in `*`."""

    weights: dict[str, int]

    def __getitem__(self, word: str) -> int:
        """The word's own weight, else that of its longest beginning in the list, else 0."""
        beginnings = (f"{word[:end]}*" for end in range(len(word), 1, -1))
        return next((self.weights[each] for each in (word, *beginnings) if each in self.weights), 0)
