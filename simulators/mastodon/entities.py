"""What the simulator answers with, in the shape of Mastodon 4.5's entities (docs.joinmastodon.org/entities)."""

import html
import re
from datetime import UTC, datetime
from typing import Any

from mynah.lengths import MASTODON_LINK, MASTODON_MAX, web_links
from simulators.mastodon.account import USER, Account, Status

VERSION = "4.5.0"
SHOWN_OF_LINK = 30  # characters of a link that are visible
_TAG = re.compile(r"(?<![\w/&;])(#)(\w*[^\W\d_]\w*)|(?<![\w/])(@)(\w+)(?:@([\w.-]*\w))?")


def account(url: str, state: Account, own: bool = False) -> dict[str, Any]:
    """Account; `own` is CredentialAccount, which its owner sees."""
    picture = f"{url}/avatars/original/missing.png"
    newest = next(reversed(state.posts.values()), None)
    shown: dict[str, Any] = {
        **USER,
        "acct": USER["username"],
        "locked": False,
        "bot": True,
        "discoverable": False,
        "indexable": False,
        "group": False,
        "created_at": "2026-01-01T00:00:00.000Z",
        "note": "",
        "url": f"{url}/@{USER['username']}",
        "uri": f"{url}/users/{USER['username']}",
        "avatar": picture,
        "avatar_static": picture,
        "avatar_description": "",
        "header": picture,
        "header_static": picture,
        "header_description": "",
        "followers_count": 0,
        "following_count": 0,
        "statuses_count": len(state.posts),
        "last_status_at": f"{datetime.fromtimestamp(newest.at, UTC):%Y-%m-%d}" if newest else None,
        "hide_collections": None,
        "noindex": False,
        "emojis": [],
        "roles": [],
        "fields": [],
    }
    if own:
        role = {"id": "-99", "name": "", "permissions": "65536", "color": "", "highlighted": False}
        source = {"privacy": "public", "sensitive": False, "language": None, "note": "", "fields": []}
        source |= {"follow_requests_count": 0, "indexable": False, "hide_collections": None}
        shown |= {"source": source | {"attribution_domains": [], "quote_policy": "public"}, "role": role}
    return shown


def status(url: str, state: Account, post: Status) -> dict[str, Any]:
    """Status, as the account's owner sees it."""
    address = f"{url}/@{USER['username']}/{post.id}"
    return {
        "id": post.id,
        "created_at": _time(post.at),
        "in_reply_to_id": None,
        "in_reply_to_account_id": None,
        "sensitive": False,
        "spoiler_text": "",
        "visibility": post.visibility,
        "language": post.language,
        "uri": f"{url}/users/{USER['username']}/statuses/{post.id}",
        "url": address,
        "replies_count": 0,
        "reblogs_count": 0,
        "favourites_count": 0,
        "quotes_count": 0,
        "edited_at": None,
        "favourited": False,
        "reblogged": False,
        "muted": False,
        "bookmarked": False,
        "pinned": False,
        "filtered": [],
        "content": content(url, post.text),
        "reblog": None,
        "application": {"name": "mynah", "website": None},
        "account": account(url, state),
        "media_attachments": [],
        "mentions": [],
        "tags": [],
        "emojis": [],
        "quote": None,
        "quote_approval": {"automatic": [], "manual": [], "current_user": "automatic"},
        "card": None,
        "poll": None,
    }


def content(url: str, text: str) -> str:
    """The HTML that Mastodon makes of a text: paragraphs, breaks, links with their middle alone in sight."""
    parts, position = [], 0
    for start, end in web_links(text):
        parts += [_plain(url, text[position:start]), _link(text[start:end])]
        position = end
    whole = "".join([*parts, _plain(url, text[position:])]).replace("\r\n", "\n").replace("\r", "\n")
    paragraphs = [paragraph.replace("\n", "<br />") for paragraph in re.split(r"\n\n+", whole)]
    return "".join(f"<p>{paragraph}</p>" for paragraph in paragraphs)


def instance(url: str) -> dict[str, Any]:
    """V2::Instance, with what a server of the default settings allows."""
    host = url.partition("//")[2]
    statuses = {"max_characters": MASTODON_MAX, "max_media_attachments": 4}
    feed = {"local": "public", "remote": "public"}
    return {
        "domain": host,
        "title": "Mastodon simulator",
        "version": VERSION,
        "source_url": "https://github.com/mastodon/mastodon",
        "description": "Nothing here reaches Mastodon.",
        "usage": {"users": {"active_month": 1}},
        "thumbnail": {"url": f"{url}/thumbnail.png", "blurhash": None, "versions": {}, "description": ""},
        "icon": [],
        "languages": ["en"],
        "configuration": {
            "urls": {"streaming": url.replace("http", "ws", 1), "status": None, "about": f"{url}/about"},
            "vapid": {"public_key": ""},
            "accounts": {"max_featured_tags": 10, "max_pinned_statuses": 5},
            "statuses": statuses | {"characters_reserved_per_url": MASTODON_LINK},
            "media_attachments": {"supported_mime_types": [], "description_limit": 1500}
            | {"image_size_limit": 16777216, "image_matrix_limit": 33177600}
            | {"video_size_limit": 103809024, "video_frame_rate_limit": 120, "video_matrix_limit": 8294400},
            "polls": {"max_options": 4, "max_characters_per_option": 50, "min_expiration": 300}
            | {"max_expiration": 2629746},
            "translation": {"enabled": False},
            "limited_federation": False,
            "timelines_access": {"live_feeds": feed, "hashtag_feeds": feed, "trending_link_feeds": feed},
        },
        "registrations": {"enabled": False, "approval_required": False, "message": None, "url": None},
        "api_versions": {"mastodon": 7},
        "contact": {"email": "", "account": None},
        "rules": [],
    }


def _plain(url: str, text: str) -> str:
    """A text without links: its tags and names become some."""

    def linked(match: re.Match[str]) -> str:
        _, tag, _, name, host = match.groups()
        if tag:
            return f'<a href="{url}/tags/{tag.lower()}" class="mention hashtag" rel="tag">#<span>{tag}</span></a>'
        if host or name == USER["username"]:
            address = f"https://{host}/@{name}" if host else f"{url}/@{name}"
            return f'<span class="h-card"><a href="{address}" class="u-url mention">@<span>{name}</span></a></span>'
        return match[0]

    return _TAG.sub(linked, html.escape(text, quote=True))


def _link(address: str) -> str:
    scheme, rest = re.match(r"(https?://(?:www\.)?)(.*)", address, re.IGNORECASE | re.DOTALL).groups()  # type: ignore[union-attr]
    shown, hidden = rest[:SHOWN_OF_LINK], rest[SHOWN_OF_LINK:]
    href, kind = html.escape(address), "ellipsis" if hidden else ""
    return (
        f'<a href="{href}" target="_blank" rel="nofollow noopener noreferrer" translate="no">'
        f'<span class="invisible">{html.escape(scheme)}</span><span class="{kind}">{html.escape(shown)}</span>'
        f'<span class="invisible">{html.escape(hidden)}</span></a>'
    )


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
