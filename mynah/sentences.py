"""Where a sentence ends, by rules: English and Russian, and what they share with others. Nothing is downloaded."""

from collections.abc import Iterator

import regex

from mynah.tweet import EMOJI

# What follows a mark and still belongs to the sentence: closing quotation marks and brackets, then emoji.
_CLOSING = r"[\"'”’»›“)\]]*"
_END = regex.compile(
    rf"(?:(?P<dots>\.{{2,}}|…)|[.!?…]+){_CLOSING}(?=\s|$|\p{{Extended_Pictographic}})|[。！？]+[」』”’）]*"
)
_EMOJI = regex.compile(rf"(?:\s*(?:{EMOJI.pattern}))+", regex.VERBOSE)
# An emoji may end a sentence without any mark: at the end of the text, or before a capital.
_FACE = regex.compile(rf"(?:\s*(?:(?![0-9\#*]) {EMOJI.pattern}))+ (?=\s*$|\s+\p{{Lu}}|\n)", regex.VERBOSE)
# What goes on in small letters after dots is the same sentence, and what does after a dash: «Иди!» — сказал он.
_GOES_ON = regex.compile(r"\s*\p{Ll}")
_SAYS = regex.compile(r"\s+[—–-]\s+\p{Ll}")
# Words whose period ends no sentence, and single letters (initials, т. д.).
_ABBREVIATION = regex.compile(
    r"""(?:\b(?:
      mr|mrs|ms|dr|prof|st|jr|sr|vs|etc|e\.g|i\.e|no|nos|vol|gen|sen|rep|gov|capt|lt|col|sgt|rev|hon|pres|mt|ft|ave|blvd
    | inc|ltd|corp|dept|univ|approx|fig|cf|al|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec
    | гг|вв|стр|ул|кв|им|см|ср|др|пр|руб|коп|тыс|млн|млрд|трлн|мин|сек|проф|акад|доц|напр|св|ред|изд|обл|пос|чел|пер
    | просп|наб|корп|тов|гр|гл|рис|табл|англ|рус|греч|лат|букв|прим|ок|род|ум
    ) | \b\p{L} | \b\d )\.$""",
    regex.VERBOSE | regex.IGNORECASE,
)


def ends(text: str) -> Iterator[int]:
    """The places in a text at which a sentence has just ended, in no order."""
    for match in _END.finditer(text):
        place = match.end()
        if match["dots"] and _GOES_ON.match(text, place):
            continue
        if _SAYS.match(text, place) or _ABBREVIATION.search(text[max(0, place - 12) : place]):
            continue
        faces = _EMOJI.match(text, place)
        yield faces.end() if faces else place
    if not text.isascii():
        for match in _FACE.finditer(text):
            yield match.end()


def whole(text: str, lines: bool = False) -> str:
    """The text up to where its last whole sentence ends; "" where none does. With `lines`, a line is whole too."""
    last = max(ends(text), default=0)
    if lines:
        last = max(last, text.rstrip("\n").rfind("\n"))
    return text[:last].rstrip()
