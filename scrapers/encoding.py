"""In which encoding a text is written: found, where it is not said."""

import codecs
from typing import BinaryIO

AT_ONCE = 1 << 20  # bytes
SAMPLE = 1 << 16  # bytes, from around the first that is no UTF-8
MARKS = {  # UTF-32's first: it begins as UTF-16's does
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# What is guessed among. cp1252 is what it is called where it fits too: the others fit much that is not theirs.
COMMON = "cp1252"
GUESSES = [COMMON, "cp1250", "cp1251", "koi8_r", "cp1253", "cp1254", "cp1255", "cp1256"]
GUESSES += ["shift_jis", "euc_jp", "gb18030", "big5", "euc_kr"]


def find_encoding(stream: BinaryIO) -> tuple[str, int | None]:
    """The encoding of what `stream` gives, which is read; and the place of the first byte that is no UTF-8.

    Exact for UTF-8, and for UTF-16 and UTF-32 with a mark at their beginning; a guess for others.
    """
    begin = stream.read(AT_ONCE)
    if marked := next((encoding for mark, encoding in MARKS.items() if begin.startswith(mark)), None):
        return marked, None
    decoder, place, before, data = codecs.getincrementaldecoder("utf-8")(), 0, b"", begin
    while data:
        kept = decoder.getstate()[0]  # the beginning of a character, whose rest is in `data`
        try:
            decoder.decode(data)
        except UnicodeDecodeError as error:
            bad = error.start - len(kept)
            around = before[-SAMPLE:] + data[: max(bad, 0) + SAMPLE]
            return _guess(around[-2 * SAMPLE :]), place + bad
        place, before, data = place + len(data), data, stream.read(AT_ONCE)
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return _guess(before[-SAMPLE:]), place - len(decoder.getstate()[0])
    return "utf-8", None


def _guess(sample: bytes) -> str:
    import charset_normalizer  # few files need it

    telling = b"\n".join(line for line in sample.splitlines() if not line.isascii())
    found = charset_normalizer.from_bytes(telling, cp_isolation=GUESSES)
    fitting = [name for match in found for name in match.could_be_from_charset]
    best = found.best()
    return COMMON if COMMON in fitting or best is None else best.encoding
