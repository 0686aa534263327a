"""The article source: a website's pages, found on its index pages, in its feeds and in its sitemaps."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain, zip_longest
from typing import Any
from urllib.parse import urlsplit

from mynah.bot.sources.article import ArticleSource
from mynah.bucket import fingerprint
from mynah.document import Document, text_id
from mynah.errors import MynahError
from mynah.progress import track
from scrapers.charset import decode
from scrapers.crawl import Crawl, Forbidden
from scrapers.extract import read_article
from scrapers.fetch import Fetched, Wish
from scrapers.links import Found, feed_links, is_at, page_links, sitemap_links, taken
from scrapers.page import Context, Cursor, Page

HTML = ("text/html", "application/xhtml+xml")
MAX_PAGE = 10 << 20  # bytes of a page that are read; lxml takes some 12 times as much
MAX_SITEMAPS = 50  # of an index, that are read
BATCH = 10  # pages that are kept in one object: as many as a crash may cost

Answers = Iterator[tuple[str, Fetched | MynahError]]


@dataclass
class Lists:
    """What the lists of links hold now."""

    old: dict[str, Any]
    """What they held at the last scrape that came to its end: address → its version, and how many links."""
    links: dict[str, list[str]] = field(default_factory=dict)
    """Address → the links that are taken, of lists that have changed."""
    now: dict[str, dict[str, Any]] = field(default_factory=dict)
    """As `old`, for the lists that could be read."""
    more: dict[str, Wish] = field(default_factory=dict)
    """Sitemaps that an index names, and that were not asked for yet."""
    problems: list[str] = field(default_factory=list)


def scrape(source: ArticleSource, cursor: Cursor | None, context: Context) -> Iterator[Page]:
    """The articles that are not kept yet, some pages at a time.

    Which ones are kept, the bucket knows by their ids: an address in canonical form, with a number where a page gives
    several texts. So the cursor need not name them: it holds the version of each list all of whose links are kept, and
    hashes of the links that failed, which are asked for last next time. A list that has failing links is read again.
    Raises MynahError with one line where none of the lists can be read.
    """
    how = fingerprint(source.model_dump(include={"pages", "feeds", "sitemaps", "include", "exclude", "hosts", "limit"}))
    last = cursor if cursor and cursor.get("how") == how else {"lists": {}}
    with Crawl(context.settings.allow_private, source.pause) as crawl:
        lists = Lists(last["lists"])
        _read_lists(lists, source, crawl)
        if not lists.now:
            raise MynahError("; ".join(lists.problems))
        links = _links(lists, source)
        waiting = {link for link in links if source.refresh or not _is_kept(link, context)}
        unchanged = len(links) - len(waiting) + _unread(lists)
        yield Page([], cursor, unchanged=unchanged, problems=tuple(lists.problems))

        failed_before, failed = {*last.get("failed", ())}, list[str]()
        order = sorted((link for link in links if link in waiting), key=lambda link: text_id(link) in failed_before)
        counts = {url: {"version": None, "links": counted["links"]} for url, counted in last["lists"].items()}
        wishes = {link: Wish(media_types=HTML, cut_at=MAX_PAGE) for link in order}
        forbidden: dict[str, list[str]] = {}
        batch: list[Document] = []
        problems: list[str] = []
        kept = cursor
        for asked, (link, answer) in enumerate(_shown(crawl.each(wishes), context, len(order)), 1):
            try:
                documents, told = _documents(link, answer, source)
                waiting.discard(link)
                batch += documents
                problems += told
            except Forbidden:
                forbidden.setdefault(urlsplit(link).netloc, []).append(link)
            except MynahError as error:
                failed.append(text_id(link))
                problems.append(str(error))
            if asked % BATCH == 0:
                if batch:
                    kept = {"how": how, "lists": counts, "asked": asked}
                yield Page(batch, kept, problems=tuple(problems))
                batch, problems = [], []
        problems += [
            f"{host}: its robots.txt forbids {len(urls):,} of its pages, such as {urls[0]}"
            for host, urls in forbidden.items()
        ]
        done = {url: not waiting.intersection(lists.links.get(url, ())) for url in lists.now}
        versions = {url: counted if done[url] else {**counted, "version": None} for url, counted in lists.now.items()}
        after: Cursor = {"how": how, "lists": {**last["lists"], **versions}}
        yield Page(batch, {**after, "failed": failed} if failed else after, problems=tuple(problems))


def _shown(answers: Answers, context: Context, total: int) -> Answers:
    """The answers, with a progress bar where there are some."""
    return track(answers, f"{context.bot}, {context.name}: pages", total) if total else answers


def _is_kept(link: str, context: Context) -> bool:
    return context.kept(link) or context.kept(f"{link}#1")


def _read_lists(lists: Lists, source: ArticleSource, crawl: Crawl) -> None:
    """Ask for every list that has changed, and for the sitemaps that an index names."""

    def wish(url: str, **more: Any) -> Wish:
        version = None if source.refresh else lists.old.get(url, {}).get("version")
        return Wish(version, **more)

    def note(url: str, answer: Fetched | MynahError) -> None:
        try:
            _note_list(lists, url, answer, source)
        except MynahError as error:
            lists.problems.append(str(error))

    pages = {url: wish(url, media_types=HTML, cut_at=MAX_PAGE) for url in source.pages}
    for url, answer in crawl.each({**pages, **{url: wish(url) for url in (*source.feeds, *source.sitemaps)}}):
        note(url, answer)
    for url, answer in crawl.each({url: wish(url) for url in lists.more}):
        note(url, answer)


def _note_list(lists: Lists, url: str, answer: Fetched | MynahError, source: ArticleSource) -> None:
    """Note what one list holds. Raises MynahError where it is none."""
    if isinstance(answer, MynahError):
        raise answer
    before = lists.old.get(url, {}).get("links", 0)
    if answer.body is None:
        lists.now[url] = lists.old[url]
        return
    found = _found(url, answer, source)
    links = taken(found.links, answer.url, source)
    if found.sitemaps and url not in lists.more:  # an index of indexes is not allowed, and not followed
        lists.more |= dict.fromkeys(found.sitemaps[:MAX_SITEMAPS], Wish())
    elif before and not links:
        lists.problems.append(f"{url}: used to give {before:,} links, and now gives none: has the site changed?")
    elif not links:
        lists.problems.append(
            f"{url}: gives no link that include, exclude and hosts let through, of {len(found.links):,} on it"
        )
    lists.links[url] = links
    # An index of sitemaps may stay what it was while they change.
    version = None if found.sitemaps or not links else answer.version
    lists.now[url] = {"version": version, "links": len(links) or before}


def _found(url: str, answer: Fetched, source: ArticleSource) -> Found:
    body = answer.body or b""
    if url in source.pages:
        return page_links(decode(body, answer.content_type), answer.url)
    read: Callable[[bytes, str], Found] = feed_links if url in source.feeds else sitemap_links
    return read(body, answer.url)


def _unread(lists: Lists) -> int:
    """How many links the lists hold that have not changed: all of them are kept."""
    return sum(counted["links"] for url, counted in lists.now.items() if url not in lists.links)


def _links(lists: Lists, source: ArticleSource) -> list[str]:
    """The links that are taken of all lists together: the first of each, the second of each, and so on."""
    in_turn = chain.from_iterable(zip_longest(*lists.links.values()))
    each_once = dict.fromkeys(link for link in in_turn if link is not None)
    links = [*each_once][: max(0, source.limit - _unread(lists))]
    within = {*links}
    for url, found in lists.links.items():
        lists.links[url] = [link for link in found if link in within]
        if len(lists.links[url]) < len(found):  # the others may move up while the list stays what it is
            lists.now[url] = {"version": None, "links": len(lists.links[url])}
    return links


def _documents(link: str, answer: Fetched | MynahError, source: ArticleSource) -> tuple[list[Document], list[str]]:
    """The documents of one page, and what is to be said of it. Raises MynahError where there are none."""
    if isinstance(answer, MynahError):
        raise answer
    if not is_at(answer.url, link, source):
        host = urlsplit(answer.url).hostname
        raise MynahError(f"{link}: leads to another host: name {host} in hosts, if that is meant")
    body = answer.body or b""
    if body.startswith(b"%PDF-"):
        raise MynahError(f"{link}: is a PDF, though its server says otherwise")
    article = read_article(decode(body, answer.content_type), source)
    if not article.texts:
        why = "in the elements that body and pieces name" if source.body or source.pieces else "that looks like one"
        raise MynahError(f"{link}: holds no article {why}")

    def id_of(number: int, text: str) -> str:
        if source.refresh:
            return f"{link}#{text_id(text)}"
        return f"{link}#{number}" if source.pieces or source.split else link

    documents = [
        Document(id_of(number, text), text, article.author, article.created_at)
        for number, text in enumerate(article.texts, 1)
    ]
    return documents, [f"{link}: is longer than {MAX_PAGE >> 20} MiB: its end was not read"] if answer.cut else []
