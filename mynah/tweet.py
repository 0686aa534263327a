"""What X counts in a text: weighted length, links, mentions.

The rules are those of twitter-text v3 (github.com/twitter/twitter-text: config/v3.json and the
conformance files validate.yml and extract.yml).
"""

import functools
import unicodedata
from collections.abc import Iterator

import regex

URL_WEIGHT = 23
_LIGHT = ((0, 4351), (8192, 8205), (8208, 8223), (8242, 8247))  # code points that weigh 1; all others weigh 2
_LONGEST_URL = 4096
_LONGEST_LABEL = 63  # of a domain, in punycode
_LONGEST_TCO = 40

# Emoji sequences of Unicode's UTS #51, those of "RGI" kind as far as a grammar can tell: a flag, one of
# the three flags by tags, a keycap, or pictographs with skin tones joined by ZWJ.
EMOJI = regex.compile(
    r"""
    \p{Regional_Indicator}{2}
    | \U0001F3F4 (?: \U000E0067\U000E0062 (?: \U000E0065\U000E006E\U000E0067     # England
                                            | \U000E0073\U000E0063\U000E0074     # Scotland
                                            | \U000E0077\U000E006C\U000E0073 )   # Wales
                     \U000E007F )
    | [0-9\#*] \uFE0F? \u20E3
    | (?P<one> \p{Emoji_Modifier_Base} \uFE0F? \p{Emoji_Modifier}
             | (?! [0-9\#*©®] ) \p{Emoji} \uFE0F?
             | [©®] \uFE0F )
      (?: \u200D (?&one) )*
    """,
    regex.VERBOSE,
)

# Character classes of the rules for links, to stand inside [].
_SPACES = r"\t-\r\x20\x85\xA0\u1680\u180E\u2000-\u200A\u2028\u2029\u202F\u205F\u3000"
_INVALID = r"\uFFFE\uFEFF\uFFFF"
_DIRECTION = r"\u202A-\u202E\u061C\u200E\u200F\u2066-\u2069"
_PUNCTUATION = r"!'\#%&()*+,\\./:;<=>?@\[\]^{|}~$"  # but - and _, which a domain may have inside
_NO_DOMAIN = _PUNCTUATION + _SPACES + _INVALID + _DIRECTION
_ACCENTED = r"\xC0-\xD6\xD8-\xF6\xF8-\u024F\u0253\u0254\u0256\u0257\u0259\u025B\u0263\u0268\u026F\u0272\u0289\u028B"
_ACCENTED += r"\u02BB\u0300-\u036F\u1E00-\u1EFF"
_PATH = r"[A-Za-z0-9\u0400-\u04FF!*';:=+,.$/%\#\[\]\-\u2013_~@|&" + _ACCENTED + "]"
_PATH_END = r"[A-Za-z0-9\u0400-\u04FF+\-=_\#/" + _ACCENTED + "]"
_PARENTHESES = rf"\((?:{_PATH}+|{_PATH}*\({_PATH}+\){_PATH}*)\)"  # as in /Primer_(film), one more level inside

# A name is no mention after what makes it an address (me@home) or a tag, or before what makes it part of a longer word.
_MENTION = regex.compile(
    r"(?:(?<![A-Za-z0-9_!\#$%&*@＠])|(?<=(?<![A-Za-z0-9_+~.\-])(?i:rt):?))"
    rf"([@＠][A-Za-z0-9_]{{1,20}}+)(?!@|＠|[{_ACCENTED}]|://)"
)
_TCO = regex.compile(r"https?://t\.co/([a-z0-9]+)", regex.IGNORECASE)


def weight(text: str) -> int:
    """The text's length as X counts it, in weighted characters: a link 23, an emoji 2, others 1 or 2."""
    text = unicodedata.normalize("NFC", text)
    total = position = 0
    for start, end in url_spans(text):
        total += _plain_weight(text[position:start]) + URL_WEIGHT
        position = end
    return total + _plain_weight(text[position:])


def urls(text: str) -> list[str]:
    """What X turns into links in a text, in order, with and without http://, as written (in NFC)."""
    text = unicodedata.normalize("NFC", text)
    return [text[start:end] for start, end in url_spans(text)]


def url_spans(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of every link in a text in NFC, in order; they do not overlap."""
    if "." not in text:
        return
    link, bare_domain = _patterns()
    for match in link.finditer(text):
        start, end = match.span("url")
        domain = match["domain"]
        if not _is_domain(domain) or len(match["scheme"] or "https://") + (end - start) > _LONGEST_URL:
            continue
        if match["scheme"]:
            if tco := _TCO.match(text, start, end):  # nothing after a t.co link's code belongs to it
                if len(tco[1]) > _LONGEST_TCO:
                    continue
                end = tco.end()
            yield start, end
        elif not match["before"].endswith(("-", "_", ".", "/")):
            # Without http:// only the parts in Latin letters count: 日本語example.com日本語.
            spans = [bare.span() for bare in bare_domain.finditer(domain)]
            for index, (first, last) in enumerate(spans):
                final = index == len(spans) - 1 and match["path"]
                yield start + first, end if final else start + last


def mentions(text: str) -> list[str]:
    """The accounts that X takes a text to mention, in order, as written: each is told of it."""
    text = unicodedata.normalize("NFC", text)
    links = list(url_spans(text))
    return [
        match[1]
        for match in _MENTION.finditer(text)
        if not any(start < match.end() and match.start() < end for start, end in links)  # medium.com/@jack
    ]


def _plain_weight(text: str) -> int:
    """The weight of a text without links."""
    if text.isascii():
        return len(text)
    total = position = 0
    for emoji in EMOJI.finditer(text):
        total += _characters_weight(text[position : emoji.start()]) + 2
        position = emoji.end()
    return total + _characters_weight(text[position:])


def _characters_weight(text: str) -> int:
    return sum(1 if any(low <= ord(character) <= high for low, high in _LIGHT) else 2 for character in text)


def _is_domain(domain: str) -> bool:
    """Whether each label is short enough in punycode."""
    if domain.startswith("xn--") and not domain.isascii():
        return False
    return all(
        len(label if label.isascii() else "xn--" + label.encode("punycode").decode()) <= _LONGEST_LABEL
        for label in domain.split(".")
    )


@functools.cache
def _patterns() -> tuple[regex.Pattern[str], regex.Pattern[str]]:
    """The pattern of a link with the character before it, and of a domain in Latin letters."""
    edge = rf"[^{_NO_DOMAIN}_\-]"  # what a label begins and ends with
    # The limits, and `}+` that gives nothing back, keep the search fast in a long text of any sort.
    rest = rf"{{0,{_LONGEST_LABEL - 1}}}+(?<={edge})\."
    subdomain = rf"{edge}[^{_NO_DOMAIN}]{rest}"
    name = rf"{edge}[^{_NO_DOMAIN}_]{rest}"
    likely = r"(?=[A-Za-z]{2,}+(?![0-9A-Za-z@+\-])|[^\x00-\x7F])"  # a cheap look before the list of names
    top = rf"(?:{likely}(?i:\L<top>)(?![0-9A-Za-z@+\-])|(?i:xn--)[\-0-9A-Za-z]+)"
    path = rf"(?:{_PATH}*(?:{_PARENTHESES}{_PATH}*)*(?:{_PATH_END}|{_PARENTHESES})|@{_PATH}+/)"
    link = (
        rf"(?P<before>[^A-Za-z0-9@＠$\#＃{_INVALID}]|^)"
        rf"(?P<url>(?P<scheme>(?i:https?)://)?(?P<domain>(?:{subdomain}){{0,31}}{name}{top})(?::[0-9]+)?"
        rf"(?P<path>/{path}*)?"
        r"(?:\?[A-Za-z0-9!?*'@();:&=+$/%\#\[\]\-_.,~|]*[A-Za-z0-9\-_&=\#/])?)"
    )
    bare_domain = rf"(?:[\-0-9A-Za-z{_ACCENTED}]+\.)+{top}"
    names = _top_level_domains()
    return regex.compile(link, top=names), regex.compile(bare_domain, top=names)


def _top_level_domains() -> set[str]:
    """The names after a domain's last dot, in Unicode: those of ICANN's part of the public suffix list."""
    import publicsuffixlist

    names = set()
    with open(publicsuffixlist.PSLFILE, encoding="utf-8") as file:  # noqa: PTH123 (its path is a str)
        for line in file:
            if "END ICANN DOMAINS" in line:
                break
            if line.strip() and not line.startswith("//"):
                names.add(unicodedata.normalize("NFC", line.split()[0].rpartition(".")[2]))
    return names
