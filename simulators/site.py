"""A stand-in for a website with articles: index page, feed, sitemaps, robots.txt, and all that goes wrong on the way.

A program for tests, and not a verb: to try a source out by hand, `python -m http.server` in a folder of pages does.
"""

import asyncio
import email.utils
import gzip
import hashlib
import html
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

HUGE = 200 << 20  # bytes of a page that is huge
PARAGRAPH = b"<p>Today the stars have a great deal to say, and they do not know when to stop saying it.</p>\n"
FAULTS = {
    "busy once": "429 with Retry-After: 0, the first time",
    "busy": "429 with Retry-After: a day",
    "down once": "503, the first time",
    "broken": "500",
    "gone": "404",
    "locked": "403",
    "pdf": "a PDF",
    "pdf as html": "a PDF that says it is a page",
    "huge": "a page of 200 MB",
    "endless": "a page that comes slowly and never ends",
    "wrong charset": "says it is UTF-16",
}
"""What a path may be made to answer, instead of its page. Besides, "redirect ADDRESS" leads there."""


@dataclass
class Site:
    """What the site has, and how it behaves. All of it may be changed while it is served."""

    pages: dict[str, bytes]
    """Path → HTML. The index page, the feed and the sitemap link to all of them, in this order."""
    faults: dict[str, str] = field(default_factory=dict)
    """Path → one of FAULTS."""
    robots: str | None = None
    """The text of robots.txt; None: there is none."""
    changed: float = 1_770_000_000.0
    """When index page, feed and sitemap changed last, in seconds since 1970."""
    asked: list[str] = field(default_factory=list)
    """The paths that were asked for and not answered with 304, in order."""
    unchanged: list[str] = field(default_factory=list)
    """The paths that were answered with 304."""
    agents: Counter[str] = field(default_factory=Counter)
    """Who asked, and how often."""


def pages_of(folder: Path) -> dict[str, bytes]:
    """The pages of a folder: *.html and *.html.gz."""
    files = sorted(file for file in folder.rglob("*.html*") if file.suffix in (".html", ".gz"))
    return {
        "/" + file.relative_to(folder).as_posix().removesuffix(".gz"): gzip.decompress(file.read_bytes())
        if file.suffix == ".gz"
        else file.read_bytes()
        for file in files
    }


def application(site: Site) -> Starlette:
    """The site as an ASGI application."""

    async def answer(request: Request) -> Response:
        path = request.url.path
        site.agents[request.headers.get("user-agent", "")] += 1
        if fault := site.faults.get(path):
            site.asked.append(path)
            return _fault(fault, path, site)
        body, kind = _body(path, site, str(request.base_url).rstrip("/"))
        if body is None:
            site.asked.append(path)
            return Response("nothing here", 404, media_type="text/plain")
        headers = {
            "etag": f'"{hashlib.sha256(body).hexdigest()[:16]}"',
            "last-modified": email.utils.formatdate(site.changed, usegmt=True),
        }
        same = headers["etag"] in request.headers.get("if-none-match", "")
        (site.unchanged if same else site.asked).append(path)
        return Response(None if same else body, 304 if same else 200, headers, kind)

    return Starlette(routes=[Route("/{path:path}", answer)])


def _body(path: str, site: Site, base: str) -> tuple[bytes | None, str]:
    """What lies at a path, and its type."""
    urls = [f"{base}{html.escape(page)}" for page in site.pages]
    match path:
        case "/robots.txt":
            return None if site.robots is None else site.robots.encode(), "text/plain"
        case "/":
            links = "".join(f'<li><a href="{html.escape(page)}#top">an article</a></li>' for page in site.pages)
            return f"<html><body><ul>{links}</ul></body></html>".encode(), "text/html"
        case "/feed.xml":
            items = "".join(f"<item><title>an article</title><link>{url}</link></item>" for url in urls)
            return f"<rss version='2.0'><channel><title>site</title>{items}</channel></rss>".encode(), "text/xml"
        case "/sitemap.xml" | "/sitemap.xml.gz":
            rows = "".join(f"<url><loc>{url}</loc></url>" for url in urls)
            text = f"<urlset xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>{rows}</urlset>".encode()
            packed = path.endswith(".gz")
            return gzip.compress(text, mtime=0) if packed else text, "application/gzip" if packed else "text/xml"
        case "/sitemaps.xml":
            row = f"<sitemap><loc>{base}/sitemap.xml.gz</loc></sitemap>"
            return f"<sitemapindex xmlns='http://www.sitemaps.org/schemas/sitemap/0.9'>{row}</sitemapindex>".encode(), (
                "text/xml"
            )
    return site.pages.get(path), "text/html"


def _fault(fault: str, path: str, site: Site) -> Response:
    first = site.asked.count(path) == 1
    page = Response(site.pages.get(path, b""), media_type="text/html")
    match fault.split(" ", 1):
        case ["busy", "once"]:
            return Response(None, 429, {"retry-after": "0"}) if first else page
        case ["busy"]:
            return Response(None, 429, {"retry-after": "86400"})
        case ["down", "once"]:
            return Response(None, 503, {"retry-after": "0"}) if first else page
        case ["broken"]:
            return Response(None, 500)
        case ["gone"]:
            return Response(None, 404)
        case ["locked"]:
            return Response(None, 403)
        case ["pdf"]:
            return Response(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", media_type="application/pdf")
        case ["pdf", _]:
            return Response(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", media_type="text/html")
        case ["huge"]:
            return StreamingResponse(_poured(), media_type="text/html")
        case ["endless"]:
            return StreamingResponse(_dripped(), media_type="text/html")
        case ["wrong", _]:
            return Response(page.body, headers={"content-type": "text/html; charset=utf-16"})
        case ["redirect", url]:
            return RedirectResponse(url, 302)
    raise ValueError(f"{fault}: no such fault; there are: {', '.join(FAULTS)}")


async def _poured() -> AsyncIterator[bytes]:
    yield b"<html><body><article>"
    chunk = PARAGRAPH * 1000
    for _ in range(HUGE // len(chunk)):
        yield chunk


async def _dripped() -> AsyncIterator[bytes]:
    yield b"<html><body><article>"
    while True:
        yield PARAGRAPH
        await asyncio.sleep(0.02)
