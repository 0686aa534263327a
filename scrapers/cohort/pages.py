"""What the bucket keeps of leaders' followers, and the cohort that was made of them, as Parquet.

    <bot>/followers/<source>/<leader>-<number>.parquet    a page of followers: id, username, posts, protected
    <bot>/followers/<source>/cohort.parquet               the cohort: id, username, posts, leaders

A page says itself where X goes on after it, so that a scrape which is killed has kept both or neither.
"""

import io
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from mynah.bucket import Bucket
from scrapers.x.names import posts_of
from scrapers.x.walk import State

FOLLOWER = pa.schema(
    [("id", pa.uint64()), ("username", pa.string()), ("posts", pa.uint32()), ("protected", pa.bool_())]
)
MEMBER = pa.schema([("id", pa.uint64()), ("username", pa.string()), ("posts", pa.uint32()), ("leaders", pa.uint16())])
ANY = 2**32 - 1  # posts, where X does not say how many
COHORT = "cohort.parquet"


@dataclass(frozen=True)
class Note:
    """What a page says of itself."""

    next: str | None
    """X's token for the next page; None where the leader has no more followers."""
    total: int
    """Followers of this leader, with those of the pages before."""
    unsettled: dict[str, str]
    """Its request: see scrapers.x.reader."""


@dataclass(frozen=True)
class Cohort:
    """Accounts, those first that follow the most leaders."""

    key: str
    """A fingerprint of whom it was made for."""
    members: list[dict[str, Any]]
    """Rows of MEMBER."""

    def accounts(self) -> dict[str, State]:
        """What a sweep is to know of the members, by name."""
        known: dict[str, State] = {}
        for member in self.members:
            # Of two with one name, one has taken it after the other gave it up.
            name, id = member["username"].lower(), str(member["id"])
            known[id if name in known else name] = {"id": id, "posts": member["posts"]}
        return known


def table_of(users: list[dict[str, Any]]) -> pa.Table:
    """Users as X gives them."""
    rows = [
        {
            "id": int(user["id"]),
            "username": user["username"],
            "posts": posts_of(user, ANY),
            "protected": bool(user.get("protected")),
        }
        for user in users
    ]
    return pa.Table.from_pylist(rows, FOLLOWER)


class Pages:
    """The pages of one source of a bot."""

    def __init__(self, bucket: Bucket, bot: str, source: str) -> None:
        self._bucket = bucket
        self._folder = (bot, "followers", source)
        self._pages: dict[str, list[str]] = {}
        for name in bucket.names(*self._folder):
            if name != COHORT:
                self._pages.setdefault(name.rpartition("-")[0], []).append(name)

    def last(self, leader: str) -> Note | None:
        """The note of a leader's last page."""
        if leader not in self._pages:
            return None
        metadata = pq.read_schema(self._bucket.open(*self._folder, self._pages[leader][-1])).metadata
        return Note(**json.loads(metadata[b"note"]))

    def write(self, leader: str, page: pa.Table, note: Note) -> None:
        """Keep a page of FOLLOWER, and its note."""
        pages = self._pages.setdefault(leader, [])
        name = f"{leader}-{len(pages):06}.parquet"
        self._write(page, {"note": json.dumps(asdict(note))}, name)
        pages.append(name)

    def read(self, leader: str) -> Iterator[pa.Table]:
        """A leader's pages."""
        for name in self._pages.get(leader, ()):
            yield pq.read_table(self._bucket.open(*self._folder, name))

    def cohort(self) -> Cohort | None:
        """The cohort that was made last."""
        try:
            table = pq.read_table(self._bucket.open(*self._folder, COHORT))
        except FileNotFoundError:
            return None
        return Cohort(table.schema.metadata[b"key"].decode(), table.to_pylist())

    def write_cohort(self, cohort: Cohort) -> None:
        self._write(pa.Table.from_pylist(cohort.members, MEMBER), {"key": cohort.key}, COHORT)

    def _write(self, table: pa.Table, metadata: dict[str, str], name: str) -> None:
        file = io.BytesIO()
        pq.write_table(table.replace_schema_metadata(metadata), file, compression="zstd")
        self._bucket.write(file.getvalue(), *self._folder, name)
