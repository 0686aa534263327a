"""A source that is read whole, such as a file or a feed: only when it has changed."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from mynah.bot.sources.feed import FeedSource
from mynah.bot.sources.file import FileSource
from mynah.bucket import fingerprint
from mynah.document import Document
from scrapers.content import read
from scrapers.page import Context, Cursor, Page

PAGE = 1000  # documents


def scrape_whole(
    source: FileSource | FeedSource,
    cursor: Cursor | None,
    context: Context,
    reading: int,
    documents: Callable[[bytes], Iterable[Document]],
) -> Iterator[Page]:
    """What `documents` finds at the source's url, where that is not what the cursor names.

    A raised `reading` has what has not changed read again, and so has any other key of `source`.
    """
    how = fingerprint({"reading": reading, **source.model_dump(exclude_defaults=True)})
    last = cursor if cursor and cursor.get("how") == how else {}
    content = read(source.url, context.settings, last.get("version"))
    if content.data is None:
        yield Page([], cursor, unchanged=last["documents"])
        return
    now = {"how": how, "sha256": hashlib.sha256(content.data).hexdigest(), "version": content.version}
    if now["sha256"] == last.get("sha256"):
        yield Page([], {**now, "documents": last["documents"]}, unchanged=last["documents"])
        return
    found, number = iter(documents(content.data)), 0
    while page := list(islice(found, PAGE)):
        number += len(page)
        yield Page(page, cursor)  # not yet the new one: a scrape killed here reads all of it again
    yield Page([], {**now, "documents": number})
