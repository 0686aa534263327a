"""Who follows the most leaders, of more followers than memory holds: they are split by their ids into files first."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

BITS = 6  # of 64, by which they are split
PARTS = 1 << BITS  # files; of each, all is in memory at once
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / φ: X's ids end in few different bits, and their products begin in many
WHO = [("id", "<u8"), ("posts", "<u4"), ("username", "S15")]
FOLLOW = np.dtype([*WHO, ("leader", "<u2")])
MEMBER = np.dtype([*WHO, ("leaders", "<u2")])

Records = NDArray[np.void]


def follows(page: pa.Table, leader: int) -> Records:
    """The followers on a page who have posts that anybody may read."""
    page = page.filter(pc.and_(pc.invert(page["protected"]), pc.greater(page["posts"], 0)))
    records = np.zeros(len(page), FOLLOW)
    for name, _ in WHO:
        records[name] = page[name].to_numpy()
    records["leader"] = leader
    return records


def rank(batches: Iterable[Records], most: int, folder: Path) -> list[dict[str, Any]]:
    """The `most` accounts that follow the most leaders, as rows of a cohort; of equals, the oldest first.

    The batches of one leader come one after the other. `folder` is for files: 29 bytes for each who follows.
    """
    with ExitStack() as opened:
        files = [opened.enter_context((folder / str(part)).open("wb")) for part in range(PARTS)]
        for batch in batches:
            parts = (batch["id"] * GOLDEN) >> np.uint64(64 - BITS)
            order = np.argsort(parts, kind="stable")
            ends = np.searchsorted(parts[order], np.arange(1, PARTS, dtype=np.uint64))
            for file, some in zip(files, np.split(batch[order], ends), strict=True):
                file.write(some.tobytes())
    best = np.zeros(0, MEMBER)
    for part in range(PARTS):
        found = np.concatenate([best, _counted(np.fromfile(folder / str(part), FOLLOW))])
        best = found[np.lexsort([found["id"], -found["leaders"].astype(np.int32)])[:most]]
    columns = {name: best[name].tolist() for name in MEMBER.names or ()}
    columns["username"] = [name.decode() for name in columns["username"]]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _counted(follows: Records) -> Records:
    """Each account once. X may give one twice for a leader: that counts once."""
    follows = follows[np.argsort(follows["id"], kind="stable")]
    first = np.ones(len(follows), bool)
    first[1:] = follows["id"][1:] != follows["id"][:-1]
    another = first.copy()
    another[1:] |= follows["leader"][1:] != follows["leader"][:-1]
    counted = np.zeros(np.count_nonzero(first), MEMBER)
    for name, _ in WHO:
        counted[name] = follows[name][first]
    counted["leaders"] = np.bincount(np.cumsum(first) - 1, another).astype(np.uint16)
    return counted
