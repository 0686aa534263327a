"""A simulator's page: what was posted and refused, for people."""

import base64
import hashlib
import html
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

SHOWN = 200  # posts on the page
PAGE = string.Template(Path(__file__).with_name("page.html").read_text(encoding="utf-8"))
_STYLE = PAGE.template.partition("<style>")[2].partition("</style>")[0]
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
PAGE_HEADERS = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cache-control": "no-store",
}


@dataclass(frozen=True)
class Shown:
    """A post as the page shows it."""

    id: str
    text: str
    at: float  # seconds since 1970
    note: str


def page(
    site: str, name: str, username: str, counts: str, posts: Sequence[Shown], refused: Iterable[dict[str, Any]]
) -> str:
    """The page of an account. `posts` are the oldest first; `refused` are lines with status, why, text and at."""
    articles = [
        f'<article id="{post.id}"><p>{html.escape(post.text)}</p><p class="faint">'
        f'<a href="#{post.id}">{_time(post.at)}</a> · {html.escape(post.note)}</p></article>'
        for post in reversed(posts[-SHOWN:])
    ]
    refusals = [
        f'<article><p>{html.escape(line["text"] or "(no text)")}</p><p class="faint">{_time(line["at"])}'
        f" · {line['status']} {html.escape(line['why'])}</p></article>"
        for line in refused
    ]
    older = f", the newest {SHOWN} shown" if len(posts) > SHOWN else ""
    return PAGE.substitute(
        site=site,
        name=html.escape(name),
        username=html.escape(username),
        counts=f"Posts: {len(posts)}{older}. {counts}",
        posts="\n".join(articles) or "<p>Nothing posted yet.</p>",
        refused="\n".join(["<h2>Refused</h2>", *refusals]) if refusals else "",
    )


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
