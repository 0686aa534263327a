"""The bytes of a web page as text, whatever its server and its author say of them."""

from w3lib.encoding import html_body_declared_encoding, http_content_type_encoding, read_bom

BROKEN = 0.1  # of the characters outside ASCII: an encoding that leaves more of them unreadable is not the page's


def decode(body: bytes, content_type: str = "") -> str:
    """The text of a page.

    A byte order mark decides. Otherwise a page that is whole UTF-8 is that: text of another encoding is so by no
    accident. Then counts what the header says, then what the page says of itself, where that can be true; else the
    encoding is guessed from the bytes. What is unreadable then becomes U+FFFD.
    """
    name, mark = read_bom(body)
    if name is not None and mark is not None:
        return body[len(mark) :].decode(name, "replace")
    said = [http_content_type_encoding(content_type), html_body_declared_encoding(body[:4096])]
    candidates = [name for name in ("utf-8" if _beyond_ascii(body) else None, *said) if name]
    for name in candidates:
        text = body.decode(name, "replace")
        beyond = sum(1 for character in text if character > "\x7f")
        if "<" in text and text.count("\ufffd") <= beyond * (0 if name == "utf-8" and name not in said else BROKEN):
            return text
    return body.decode(_guessed(body), "replace")


def _beyond_ascii(body: bytes) -> bool:
    return not body.isascii()


def _guessed(body: bytes) -> str:
    from charset_normalizer import from_bytes

    best = from_bytes(body[: 64 << 10]).best()
    return best.encoding if best else "utf-8"
