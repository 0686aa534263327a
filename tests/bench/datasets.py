"""How fast texts become a dataset: `make bench PART=datasets`, or `python -m tests.bench.datasets TEXTS`.

A million short texts (TEXTS of them) are made from the real ones of ../shared/data. Contestants take turns, each in a
process of its own, and medians are compared:

    cleaned and deduplicated exactly   by one process and by two; target: 20,000 texts/s on two cores
    near-duplicates                    beside datasketch's own loop, on fewer texts, because that takes so long
    the recitation index               building it, and asking it, beside the sets of Python that it replaces
"""

import csv
import itertools
import json
import multiprocessing
import os
import pickle
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from mynah.bot import Bot, Clean, FileSource
from mynah.bucket import Bucket
from mynah.document import Document, pack

SHARED = Path(__file__).parents[3] / "shared" / "data"
PAGE = 10_000  # documents, as a scrape writes them
ROUNDS = int(os.environ.get("MYNAH_BENCH_ROUNDS", "3"))
LOOPED = 5_000  # texts that datasketch's loop takes


def main() -> None:
    """Print texts per second, peak memory and the ratios."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory(prefix="mynah-bench-") as folder:
        home = Path(folder)
        make(Bucket(folder), count)
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            pool.submit(prepare, home).result()
        contestants: dict[str, Callable[[], dict[str, float]]] = {
            "clean, one process": partial(clean, home, 1),
            "clean, two processes": partial(clean, home, 2),
            "near-duplicates, index": partial(ours, home),
            "near-duplicates, datasketch": partial(datasketch, home),
            "index in memory": partial(memory, home),
        }
        found: dict[str, list[dict[str, float]]] = {name: [] for name in contestants}
        for _ in range(ROUNDS):
            for name, contestant in contestants.items():
                with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
                    found[name].append(pool.submit(contestant).result())
    medians = {
        name: {figure: statistics.median(each[figure] for each in rounds) for figure in rounds[0]}
        for name, rounds in found.items()
    }
    print(f"{count:,} texts, {len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}")
    for name, figures in medians.items():
        print(f"{name:<29}" + "  ".join(f"{figure} {number:,.4g}" for figure, number in figures.items()))
    for figure, one, other in (
        ("texts/s", "clean, two processes", "clean, one process"),
        ("texts/s", "near-duplicates, index", "near-duplicates, datasketch"),
        ("us/query", "near-duplicates, index", "index in memory"),
    ):
        print(f"{figure}: {one} / {other} = {medians[one][figure] / medians[other][figure]:.2f}")


def make(bucket: Bucket, count: int) -> None:
    """Short texts: sentences of jokes, posts and horoscopes, put together by chance, one of ten there already."""
    chance = random.Random(0)
    sentences = [part for text in _real() for part in text.replace("\n", ". ").split(". ") if 10 < len(part) < 120]
    texts: list[str] = []
    for number in range(count):
        if number % 10 == 9:
            texts.append(chance.choice(texts))
        else:
            texts.append(f"{chance.choice(sentences)}. {chance.choice(sentences)} https://t.co/{number}")
        if len(texts) == PAGE or number == count - 1:
            page = [Document(id=f"{number}-{place}", text=text) for place, text in enumerate(texts)]
            bucket.write(pack(page), "demo", "raw", "s", f"{number:09}.jsonl.zst")
            texts = []


def _real() -> list[str]:
    with (SHARED / "jokes/onelinefun.csv").open(encoding="utf-8", newline="") as file:
        texts = [row["Joke"] for row in csv.DictReader(file)]
    texts += [row["text"] for row in json.loads((SHARED / "trump/condensed_2016.json").read_text("utf-8"))]
    with (SHARED / "horoscopes/horoscopes.csv").open(encoding="utf-8", newline="") as file:
        return texts + [row[1] for row in csv.reader(file, delimiter="|") if len(row) > 1]


def bot() -> Bot:
    return Bot(name="demo", sources={"s": FileSource(url="x")}, clean=Clean(drop_near_duplicates=True))


def peak() -> float:
    """MB that this process, or the largest of those that it started, had in memory at the most."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def _collect(home: Path, processes: int, scratch: str) -> Any:
    from training.corpus import collect

    bucket = Bucket(str(home))
    return collect(bot(), bucket, {"s": bucket.names("demo", "raw", "s")}, Path(scratch) / "texts", processes)


def clean(home: Path, processes: int) -> dict[str, float]:
    """Clean and deduplicate exactly."""
    with tempfile.TemporaryDirectory() as scratch:
        begin = time.perf_counter()
        corpus = _collect(home, processes, scratch)
        return {"texts/s": corpus.documents.total() / (time.perf_counter() - begin), "peak MB": peak()}


def prepare(home: Path) -> None:
    """A corpus that is clean, for those who do more with it."""
    (home / "clean").mkdir()
    (home / "clean/corpus").write_bytes(pickle.dumps(_collect(home, 2, str(home / "clean"))))


def _corpus(home: Path) -> Any:
    return pickle.loads((home / "clean/corpus").read_bytes())


def ours(home: Path) -> dict[str, float]:
    """Find near-duplicates by two processes, write the recitation index, map it, and ask it."""
    from mynah.recitation import FILE, Recitation
    from training.near import compute_hashes, place
    from training.recitation import write_index
    from training.sides import NONE

    corpus = _corpus(home)
    asked = _asked(corpus.texts(0, 2000))
    with tempfile.TemporaryDirectory() as scratch:
        begin = time.perf_counter()
        hashes = compute_hashes(corpus, 0.8, Path(scratch), 2)
        place(corpus, hashes, NONE, 0.8, True, Path(scratch))
        placed = time.perf_counter()
        write_index(Path(scratch), corpus, hashes)
        built = time.perf_counter()
        copied = Recitation(Path(scratch) / FILE).copied
        loaded = time.perf_counter()
        for text in asked:
            copied.share(text)
        ended = time.perf_counter()
        return {
            "texts/s": len(corpus) / (placed - begin),
            "near": corpus.dropped["near-duplicate"],
            "build s": built - placed,
            "load s": loaded - built,
            "us/query": (ended - loaded) / len(asked) * 1e6,
            "file MB": (Path(scratch) / FILE).stat().st_size / 1e6,
            "peak MB": peak(),
        }


def datasketch(home: Path) -> dict[str, float]:
    """The same by the loop of datasketch's documentation, a text at a time, on the first texts."""
    from datasketch import MinHash, MinHashLSH

    from mynah.recitation import shingles
    from mynah.text import same_text_key

    corpus = _corpus(home)
    texts = corpus.texts(0, min(LOOPED, len(corpus)))
    begin = time.perf_counter()
    index = MinHashLSH(threshold=0.8, num_perm=128)
    for number, text in enumerate(texts):
        found = MinHash(num_perm=128)
        found.update_batch([shingle.encode() for shingle in shingles(same_text_key(text))])
        if not index.query(found):
            index.insert(str(number), found)
    return {"texts/s": len(texts) / (time.perf_counter() - begin), "peak MB": peak()}


def memory(home: Path) -> dict[str, float]:
    """Put what the index holds into sets, as every generation did, and ask them."""
    from mynah.recitation import Copied

    corpus = _corpus(home)
    asked = _asked(corpus.texts(0, 2000))
    before = peak()
    begin = time.perf_counter()
    copied = Copied.of(text for chunk in corpus.chunks() for text in corpus.texts(*chunk))
    loaded = time.perf_counter()
    for text in asked:
        copied.share(text)
    ended = time.perf_counter()
    return {"load s": loaded - begin, "us/query": (ended - loaded) / len(asked) * 1e6, "grown MB": peak() - before}


def _asked(texts: list[str]) -> list[str]:
    """Halves of two texts each, as a model may put them together."""
    return [f"{one[: len(one) // 2]} {other[len(other) // 2 :]}" for one, other in itertools.pairwise(texts)]


if __name__ == "__main__":
    main()
