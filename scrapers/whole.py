"""A source that is read whole, such as a file or a feed: only when it has changed."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import BinaryIO

from mynah.bot.sources.feed import FeedSource
from mynah.bot.sources.file import FileSource
from mynah.bucket import fingerprint
from mynah.document import Document
from scrapers.content import opened
from scrapers.page import Context, Cursor, Page

PAGE = 1000  # documents


def scrape_whole(
    source: FileSource | FeedSource,
    cursor: Cursor | None,
    context: Context,
    reading: int,
    documents: Callable[[BinaryIO, list[str]], Iterable[Document]],
) -> Iterator[Page]:
    """What `documents` finds in what lies at the source's url, where that is not what the cursor names.

    `documents` adds problems to its list. A raised `reading` has what has not changed read again, and so has any other
    key of `source`.
    """
    how = fingerprint({"reading": reading, **source.model_dump(exclude_defaults=True)})
    last = cursor if cursor and cursor.get("how") == how else {}
    with opened(source.url, context.settings, last.get("version")) as content:
        if content.stream is None:
            yield Page([], cursor, unchanged=last["documents"])
            return
        sha256 = hashlib.file_digest(content.stream, "sha256").hexdigest()  # type: ignore[arg-type]
        now = {"how": how, "sha256": sha256, "version": content.version}
        if sha256 == last.get("sha256"):
            yield Page([], {**now, "documents": last["documents"]}, unchanged=last["documents"])
            return
        content.stream.seek(0)
        problems: list[str] = []
        found, number = iter(documents(content.stream, problems)), 0
        while page := list(islice(found, PAGE)):
            number += len(page)
            # Not yet the new cursor: a scrape killed here reads all of it again.
            yield Page(page, cursor, problems=tuple(problems))
            problems.clear()
        yield Page([], {**now, "documents": number})
