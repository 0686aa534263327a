"""HTML as the plain text that its reader sees."""

import re

from lxml import etree, html

# Not text at all, or not the text's.
UNSEEN = {"script", "style", "head", "template", "noscript", "svg", "iframe", "object", "textarea", "select"}
PARAGRAPHS = {"p", "blockquote", "pre", "ul", "ol", "dl", "table", "figure", "h1", "h2", "h3", "h4", "h5", "h6", "hr"}
LINES = {"div", "li", "dt", "dd", "tr", "section", "article", "header", "footer", "aside", "nav", "main", "figcaption"}
# What XML has no place for: control characters, and halves of UTF-16's pairs.
NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
SPACE = re.compile(r"[ \t\r\n\f]+")  # what HTML folds; a no-break space is a character


def plain_text(markup: str) -> str:
    """The text of an HTML fragment, which may be broken, or any other text.

    A line for every <br> and block, an empty line around paragraphs and headings; white space is folded.
    """
    markup = NOT_XML.sub("", markup)
    if not markup.strip():
        return ""
    parser = html.HTMLParser(huge_tree=True)  # 2,048 levels, not 256: some pages close nothing
    return element_text(html.fragment_fromstring(markup, create_parent="div", parser=parser))


def parsed_page(markup: str) -> html.HtmlElement:
    """A whole page, which may be broken or empty."""
    markup = NOT_XML.sub("", markup)
    parser = html.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
    try:
        return html.document_fromstring(markup.encode(), parser=parser)
    except etree.ParserError:  # there is no element in it
        return html.document_fromstring("<p>")


def element_text(element: html.HtmlElement) -> str:
    """The text of one element of a page, as `plain_text` gives it."""
    lines = _Lines()
    walk = etree.iterwalk(element, events=("start", "end", "comment", "pi"))
    for event, node in walk:
        tag = node.tag if isinstance(node.tag, str) else ""
        if event == "start":
            if tag in UNSEEN:
                walk.skip_subtree()
                continue
            lines.block(tag)
            lines.text(node.text, tag == "pre")
        else:  # of an element, a comment or an instruction: on with what follows it
            lines.block(tag)
            if tag == "br":
                lines.br()
            if node is not element:
                lines.text(node.tail)
    return "".join(lines.pieces).rstrip(" ")


class _Lines:
    """Text as it is put together."""

    def __init__(self) -> None:
        self.pieces: list[str] = []
        self._wanted = 0  # line ends that blocks want before the next text
        self._given = 0  # line ends that <br> gives

    def block(self, tag: str) -> None:
        """The beginning or the end of an element."""
        self._wanted = max(self._wanted, 2 if tag in PARAGRAPHS else 1 if tag in LINES else 0)
        if tag in ("td", "th"):
            self._put(" ")

    def br(self) -> None:
        self._given += 1

    def text(self, text: str | None, lines_stay: bool = False) -> None:
        for number, part in enumerate((text or "").split("\n") if lines_stay else [text or ""]):
            if number:
                self.br()
            self._put(SPACE.sub(" ", part))

    def _put(self, text: str) -> None:
        if not self.pieces or self._wanted or self._given or self.pieces[-1].endswith(" "):
            text = text.lstrip(" ")
        if not text:
            return
        if self.pieces and (ends := min(2, max(self._wanted, self._given))):
            self.pieces[-1] = self.pieces[-1].rstrip(" ")
            self.pieces.append("\n" * ends)
        self._wanted = self._given = 0
        self.pieces.append(text)
