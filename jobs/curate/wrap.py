"""Text in a terminal: broken into lines between words, with some stretches marked."""

import itertools
from collections.abc import Iterator, Sequence

from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.utils import get_cwidth


def lines(text: str, width: int) -> Iterator[tuple[int, int]]:
    """Where each line of a text begins and ends: at most `width` columns, broken between words where it can be."""
    begin = 0
    for part in text.split("\n"):
        end = begin + len(part)
        while begin < end:
            stop = _fitting(text, begin, end, max(2, width))
            if stop < end and (space := text.rfind(" ", begin, stop + 1)) > begin:
                yield begin, space
                begin = space + 1
            else:
                yield begin, stop
                begin = stop
        if not part:
            yield begin, begin
        begin = end + 1


def _fitting(text: str, begin: int, end: int, width: int) -> int:
    used = 0
    for place in range(begin, end):
        used += get_cwidth(text[place])
        if used > width:
            return max(place, begin + 1)
    return end


def marked(
    text: str, width: int, style: str, marks: Sequence[tuple[int, int]] = (), mark: str = "", indent: str = ""
) -> list[StyleAndTextTuples]:
    """A text's lines, each as prompt_toolkit's fragments: `style`, and `mark` as well in the stretches `marks`."""
    shown: list[StyleAndTextTuples] = []
    for begin, end in lines(text, width - get_cwidth(indent)):
        edges = sorted({begin, end, *(place for span in marks for place in span if begin < place < end)})
        fragments: StyleAndTextTuples = [("", indent)] if indent else []
        for one, other in itertools.pairwise(edges):
            inside = any(first <= one and other <= last for first, last in marks)
            fragments.append((f"{style} {mark}" if inside else style, text[one:other]))
        shown.append(fragments)
    return shown
