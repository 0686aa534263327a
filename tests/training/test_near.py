"""Near-duplicates, and the sides of the split."""

import random
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mynah.bot import Bot, Clean, FileSource, Train
from mynah.bucket import Bucket
from mynah.document import Document, pack, unpack
from mynah.errors import MynahError
from mynah.recitation import BANDS, ROWS, band_hash, permutations, shingle_hash, shingles, text_hash
from mynah.recitation import run_hashes as runs_of_one
from mynah.text import same_text_key, words
from tests.near import jaccard
from training.dataset import assemble, build
from training.minhash import PERMUTATIONS, band_hashes, rows_for, run_hashes, signatures
from training.sides import NONE, Sides, read_sides, split_of

LONG = "It was the best of times, it was the worst of times, it was the age of wisdom and of foolishness{}"


def bot_with(dev_fraction: float = 0.5, **clean: object) -> Bot:
    return Bot(
        name="demo",
        sources={"s": FileSource(url="x")},
        clean=Clean(**{"min_words": 1, **clean}),
        train=Train(dev_fraction=dev_fraction),
    )


def side_of(text: str, dev_fraction: float = 0.5) -> str:
    return split_of(same_text_key(text), dev_fraction)


def on_side(side: str, text: str, dev_fraction: float = 0.5) -> str:
    """A text that is nearly this one, and that its hash puts on this side."""
    return next(found for n in range(99) if side_of(found := text.format(f" {n}"), dev_fraction) == side)


class Builds:
    """Datasets of a bot, one after the other."""

    def __init__(self, folder: Path) -> None:
        self.bucket = Bucket(str(folder))
        self.count = 0

    def build(self, *texts: str, **bot: object) -> dict[str, list[str]]:
        """The texts on each side, once these were scraped too."""
        self.count += 1
        documents = [Document(id=f"{self.count}-{n}", text=text) for n, text in enumerate(texts)]
        self.bucket.write(pack(documents), "demo", "raw", "s", f"{self.count:03}.jsonl.zst")
        made = build(bot_with(**bot), self.bucket)  # type: ignore[arg-type]
        self.dropped = made.counts["dropped"]
        self.id = made.id
        splits = ("train", "dev")
        return {
            split: [d.text for d in unpack(self.bucket.read("demo", "datasets", made.id, f"{split}.jsonl.zst"))]
            for split in splits
        }


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    return Builds(tmp_path)


def test_numpy_and_plain_python_make_the_same_numbers() -> None:
    texts = ["", "a", "ab c", "abcde", LONG, "Мне 33 года, ёлки 👍", *(f"{n} " * n for n in range(1, 20))]
    keys = [same_text_key(text) for text in texts]
    values = signatures(keys)
    for key, row in zip(keys, values, strict=True):
        hashes = [shingle_hash(one) for one in shingles(key)]
        assert row.tolist() == [min((a * x + b) % 2**32 for x in hashes) for a, b in permutations(PERMUTATIONS)]
        bands = band_hashes(row[None, : BANDS * ROWS], ROWS)[0].tolist()
        assert bands == [band_hash(row[n * ROWS : (n + 1) * ROWS].tolist()) for n in range(BANDS)]
    runs, counts = run_hashes([words(text) for text in texts])
    assert [runs_of_one(text) for text in texts] == [part.tolist() for part in np.split(runs, np.cumsum(counts)[:-1])]


def test_minhash_estimates_what_texts_share_and_its_bands_find_them() -> None:
    chance = random.Random(1)
    missed, errors = 0, []
    for _ in range(300):
        one = ["".join(chance.choices("abcdefgh", k=5)) for _ in range(16)]
        other = list(one)
        other[chance.randrange(16)] = "zzzzz"
        keys = [" ".join(one), " ".join(other)]
        true = jaccard(shingles(keys[0]), shingles(keys[1]))
        values = signatures(keys)
        errors.append(float((values[0] == values[1]).mean()) - true)
        bands = band_hashes(values, rows_for(true))
        missed += not (bands[0] == bands[1]).any()
    assert abs(float(np.mean(errors))) < 0.02
    assert missed == 0
    assert [rows_for(similarity) for similarity in (0.5, 0.7, 0.8, 0.9)] == [2, 3, 4, 6]


def test_near_duplicates_are_kept_on_one_side_or_left_out(builds: Builds) -> None:
    first, second = on_side("train", LONG), on_side("dev", LONG)
    far = "Something entirely different that shares nothing"
    kept = builds.build(first, far, second)
    assert first in kept["train"]
    assert second in kept["train"]
    assert builds.dropped == {}
    dropped = builds.build(drop_near_duplicates=True)
    assert sorted(dropped["train"] + dropped["dev"]) == sorted([first, far])
    assert builds.dropped == {"near-duplicate": 1}
    again = builds.build(near_duplicate_similarity=1.0, drop_near_duplicates=True)
    assert second in again["train"], "it was on this side once, and stays"


def test_a_new_text_follows_its_neighbour_and_one_near_both_sides_is_left_out(builds: Builds) -> None:
    between = LONG.format(", it was the season of light, it was the season of darkness")
    left = between.replace("best of times", "first of springs")
    # What their hashes part.
    right = next(
        found
        for n in range(99)
        if side_of(found := between.replace("and of foolishness", f"and summer {n}")) != side_of(left)
    )
    key = {text: shingles(same_text_key(text)) for text in (left, between, right)}
    low, high = jaccard(key[left], key[right]), min(jaccard(key[between], key[text]) for text in (left, right))
    similarity = (low + high) / 2
    assert 0.5 < low < similarity < high
    sides = {text: side_of(text) for text in (left, right)}
    before = builds.build(left, right, near_duplicate_similarity=similarity)
    assert [left in before[sides[left]], right in before[sides[right]]] == [True, True]
    after = builds.build(between, near_duplicate_similarity=similarity)
    assert builds.dropped == {"near both sides": 1}
    assert after == before
    neighbour = left + " too"
    assert neighbour in builds.build(neighbour, near_duplicate_similarity=similarity)[sides[left]]


def test_a_dataset_that_kept_no_sides_decides_by_its_texts(builds: Builds) -> None:
    first, other = on_side("train", LONG), "quite another text that is long enough"
    parted = other.replace("enough", "enoughs")
    documents = {
        "train": [Document(id="1", text=other)],
        "dev": [Document(id="2", text=first), Document(id="3", text=parted)],
    }
    for split, texts in documents.items():
        builds.bucket.write(pack(texts), "demo", "datasets", "20200101T000000-old", f"{split}.jsonl.zst")
    builds.bucket.write(b'{"id": "20200101T000000-old"}', "demo", "datasets", "20200101T000000-old", "dataset.json")
    sides = builds.build(first, LONG.format(" or more"), parted, other)
    assert sides == {"dev": [first, LONG.format(" or more")], "train": [other]}
    assert builds.dropped == {"near both sides": 1}, "which that dataset had on both"
    kept = read_sides(builds.bucket, "demo", builds.id)
    assert kept.dev.tolist() == sorted(text_hash(text) for text in [*sides["dev"], parted]), "should it come back"


WORDS = st.sampled_from(["the", "cat", "sat", "mat", "and", "dog", "ran", "off", "today", "again"])
CORPORA = st.lists(
    st.lists(st.lists(WORDS, min_size=1, max_size=7).map(" ".join), min_size=1, max_size=12), min_size=1, max_size=4
)


@settings(max_examples=40)
@given(CORPORA, st.booleans(), st.sampled_from([0.5, 0.7]), st.data())
def test_no_text_changes_sides_and_no_near_pair_is_parted(
    corpora: list[list[str]], drop: bool, similarity: float, data: st.DataObject
) -> None:
    """Over several builds of a corpus that grows, while its rules change."""
    with TemporaryDirectory() as folder:
        bucket = Bucket(folder)
        before, ever = NONE, dict[str, str]()
        names = []
        for number, texts in enumerate(corpora):
            documents = [
                Document(id=f"{number}-{n}", text=text) for n, text in enumerate([*texts, f"{number} keeps it going"])
            ]
            bucket.write(pack(documents), "demo", "raw", "s", f"{number}")
            names.append(str(number))
            out, scratch = Path(folder, f"out{number}"), Path(folder, f"scratch{number}")
            out.mkdir()
            scratch.mkdir()
            bot = bot_with(
                dev_fraction=data.draw(st.sampled_from([0.3, 0.5])),
                drop_near_duplicates=drop,
                near_duplicate_similarity=similarity,
                min_words=data.draw(st.integers(1, 3)),
            )
            try:
                assemble(bot, bucket, {"s": names}, before, scratch, out)
            except MynahError:  # no text is left for training
                continue
            sides = {
                split: [d.text for d in unpack((out / f"{split}.jsonl.zst").read_bytes())] for split in ("train", "dev")
            }
            for split, found in sides.items():
                for text in found:
                    assert ever.setdefault(same_text_key(text), split) == split
            sets = {split: [shingles(same_text_key(text)) for text in found] for split, found in sides.items()}
            assert not any(jaccard(one, other) >= similarity for one in sets["train"] for other in sets["dev"])
            if drop:
                every = sets["train"] + sets["dev"]
                assert not any(jaccard(a, b) >= similarity for n, a in enumerate(every) for b in every[:n])
            header = (out / "sides.bin").read_bytes().partition(b"\n")
            train, dev = (sum(side == split for side in ever.values()) for split in ("train", "dev"))
            hashes = np.frombuffer(header[2], np.uint64)
            assert len(hashes) == train + dev
            before = Sides(hashes[:train], hashes[train:])
