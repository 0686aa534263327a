"""Who follows the most of many leaders: the part `cohort` of listening. LEADERS of FOLLOWERS each are made up."""

import multiprocessing
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from uuid import UUID

import numpy as np
import pyarrow as pa

from mynah.bucket import Bucket
from scrapers.cohort.gather import PAGE
from scrapers.cohort.pages import FOLLOWER, Note, Pages
from scrapers.cohort.rank import follows, rank

LEADERS, FOLLOWERS, PEOPLE, COHORT = 35, 1_000_000, 20_000_000, 150_000


def measure() -> list[str]:
    """Print seconds and the peak of memory, of a process of its own."""
    with tempfile.TemporaryDirectory(prefix="mynah-bench-") as folder:
        _make(folder)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            before, seconds, peak, members = pool.submit(_rank, folder).result()
        files = sum(path.stat().st_size for path in Path(folder).rglob("*.parquet"))
    print(f"{LEADERS * FOLLOWERS:,} followers on {LEADERS * FOLLOWERS // PAGE:,} pages, {files / 2**20:,.0f} MiB")
    print(f"the first {members:,}: {seconds:.0f} s, {LEADERS * FOLLOWERS / seconds:,.0f} followers per second")
    print(f"memory: {peak:.0f} MiB at its peak, {before:.0f} before")
    return []


def _make(folder: str) -> None:
    """Pages as a scrape writes them. Of the people, few follow much."""
    chance = np.random.default_rng(0)
    pages = Pages(Bucket(folder), "demo", "followers")
    people = np.sort(chance.choice(2**60, PEOPLE).astype(np.uint64))
    for leader in range(LEADERS):
        who = (chance.power(0.5, FOLLOWERS) * PEOPLE).astype(np.int64)
        for begin in range(0, FOLLOWERS, PAGE):
            some = who[begin : begin + PAGE]
            names = pa.array([f"user{n}" for n in some.tolist()])
            posts, protected = pa.array(some % 999, pa.uint32()), pa.array(some % 20 == 0)
            page = pa.table([pa.array(people[some]), names, posts, protected], FOLLOWER)
            pages.write(f"leader{leader}", page, Note("token", begin + PAGE, {"id": str(UUID(int=0)), "cost": "10"}))


def _rank(folder: str) -> tuple[float, float, float, int]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.perf_counter()
    pages = Pages(Bucket(folder), "demo", "followers")
    batches = (follows(page, leader) for leader in range(LEADERS) for page in pages.read(f"leader{leader}"))
    with tempfile.TemporaryDirectory(prefix="mynah-bench-") as files:
        members = rank(batches, COHORT, Path(files))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return before, time.perf_counter() - start, peak, len(members)
