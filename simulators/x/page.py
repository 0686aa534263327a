"""The simulator's page: what was posted and refused, for people."""

import base64
import hashlib
import html
import string
from datetime import UTC, datetime
from pathlib import Path

from mynah.tweet import weight
from simulators.x.account import USER, Account
from simulators.x.billing import Bill

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


def page(account: Account, bill: Bill) -> str:
    """What was posted, the newest first, what was refused, and what X would have charged."""
    posts = list(reversed(account.posts.values()))[:SHOWN]
    articles = [
        f'<article id="{post.id}"><p>{html.escape(post.text)}</p><p class="faint">'
        f'<a href="#{post.id}">{_time(post.at)}</a>'
        f" · weight {weight(post.text)} · ${post.cost:.3f}</p></article>"
        for post in posts
    ]
    refused = [
        f'<article><p>{html.escape(line["text"] or "(no text)")}</p><p class="faint">{_time(line["at"])}'
        f" · {line['status']} {html.escape(line['why'])}</p></article>"
        for line in reversed(account.refused)
    ]
    older = f", the newest {SHOWN} shown" if len(account.posts) > SHOWN else ""
    return PAGE.substitute(
        name=html.escape(USER["name"]),
        username=html.escape(USER["username"]),
        counts=f"Posts: {len(account.posts)}{older}. X would have charged ${account.spent:.3f}."
        f" Read since it started, in {bill.requests:,} requests: {bill.read['post'] + bill.read['own post']:,} posts"
        f" and {bill.read['user']:,} users, for ${bill.dollars:.3f}.",
        posts="\n".join(articles) or "<p>Nothing posted yet.</p>",
        refused="\n".join(["<h2>Refused</h2>", *refused]) if refused else "",
    )


def _time(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S} UTC"
