"""The dataset stage."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.bot import Bot, Clean, FileSource, Train
from mynah.bucket import Bucket
from mynah.document import Document, pack, text_id, unpack
from mynah.errors import MynahError
from training.corpus import collect
from training.dataset import Dataset, build
from training.sides import split_of


def bot_with(**clean: object) -> Bot:
    return Bot(name="demo", sources={"s": FileSource(url="x")}, clean=Clean(**clean))


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(str(tmp_path))


def scraped(bucket: Bucket, *texts: str, file: str = "1") -> None:
    documents = [Document(id=f"{file}-{n}", text=text) for n, text in enumerate(texts)]
    bucket.write(pack(documents), "demo", "raw", "s", f"{file}.jsonl.zst")


def texts_of(bucket: Bucket, id: str, split: str) -> list[str]:
    return [d.text for d in unpack(bucket.read("demo", "datasets", id, f"{split}.jsonl.zst"))]


def test_texts_are_cleaned_counted_and_split(bucket: Bucket) -> None:
    texts = [f"the text {text_id(str(n))}" for n in range(300)]
    scraped(bucket, *(f"{text} https://x.y" for text in texts), f"The TEXT {text_id('7')}!", "short")
    made = build(bot_with(), bucket)
    train, dev = texts_of(bucket, made.id, "train"), texts_of(bucket, made.id, "dev")
    assert sorted(train + dev) == sorted(texts)
    assert 15 <= len(dev) <= 50
    assert made.counts["documents"] == 302
    assert made.counts["dropped"] == {"duplicate": 1, "too few words": 1}
    assert (made.counts["train"], made.counts["dev"]) == (len(train), len(dev))


def test_the_manifest_says_what_went_in_and_what_is_in_it(bucket: Bucket) -> None:
    scraped(
        bucket, *(f"The weather report says {text_id(str(n))} &lt; {n}" for n in range(40)), "no", "no", "RT @a: b c"
    )
    made = build(bot_with(), bucket)
    manifest = bucket.manifest("demo", "datasets", made.id)
    assert manifest
    raw = hashlib.sha256(bucket.read("demo", "raw", "s", "1.jsonl.zst")).hexdigest()
    assert manifest["raw"] == {"s": {"1.jsonl.zst": raw}}
    assert manifest["statistics"]["sources"] == {
        "s": {"documents": 43, "train": made.counts["train"], "dev": made.counts["dev"]}
    }
    assert manifest["statistics"]["words"]["50%"] == 6
    assert manifest["statistics"]["changed"] == {"unescape_html": 40}
    assert sum(number for name, number in manifest["statistics"]["languages"].items() if name != "texts") == 40
    assert manifest["prompts"] == ["The weather report says"]
    assert bucket.read("demo", "datasets", made.id, "dataset.png").startswith(b"\x89PNG")
    assert {*manifest["files"]} == {"train.jsonl.zst", "dev.jsonl.zst", "recitation.index", "sides.bin", "dataset.png"}


def test_a_source_gives_no_more_texts_than_it_may(bucket: Bucket) -> None:
    scraped(bucket, *(f"the text {text_id(str(n))}" for n in range(50)))

    def some(most: int | None) -> Bot:
        sources = {"s": FileSource(url="x", max_texts=most)}
        return Bot(name="demo", sources=sources, clean=Clean(near_duplicate_similarity=1.0))

    def texts(made: Dataset) -> set[str]:
        return {*texts_of(bucket, made.id, "train"), *texts_of(bucket, made.id, "dev")}

    all_of_them, few = build(some(None), bucket), build(some(20), bucket)
    assert few.counts["dropped"] == {"over max_texts": 30}
    assert len(texts(few)) == 20
    assert texts(few) < texts(build(some(30), bucket)) < texts(all_of_them)


def test_pages_are_cleaned_by_processes_in_their_order(tmp_path: Path, bucket: Bucket) -> None:
    names = [f"{number:02}" for number in range(9)]
    for name in names:
        scraped(bucket, *(f"the text {text_id(name + str(n))}" for n in range(20)), "the same everywhere", file=name)
    raw = {"s": [f"{name}.jsonl.zst" for name in names]}
    alone, together = (collect(bot_with(), bucket, raw, tmp_path / str(count), count) for count in (1, 2))
    assert alone.file.read_bytes() == together.file.read_bytes()
    assert alone.key.tolist() == together.key.tolist()
    assert together.dropped == {"duplicate": 8}
    assert len(together) == 9 * 20 + 1


def test_the_same_inputs_are_not_built_twice(bucket: Bucket) -> None:
    scraped(bucket, "one good text here")
    first = build(bot_with(), bucket)
    assert not first.skipped
    assert build(bot_with(), bucket) == type(first)(first.id, first.address, first.counts, skipped=True)
    assert build(bot_with(strip_links=False), bucket).skipped is False
    scraped(bucket, "another good text here", file="2")
    assert build(bot_with(), bucket).counts["train"] + build(bot_with(), bucket).counts["dev"] == 2


def test_a_dataset_that_was_not_written_whole_is_built_anew(bucket: Bucket) -> None:
    scraped(bucket, "one good text here")
    first = build(bot_with(), bucket)
    Path(bucket.path("demo", "datasets", first.id, "dataset.json")).unlink()
    assert build(bot_with(), bucket).skipped is False


def test_nothing_to_learn_from_is_one_line(bucket: Bucket) -> None:
    with pytest.raises(MynahError, match="bot demo has no documents yet: run `mynah scrape demo`"):
        build(bot_with(), bucket)
    scraped(bucket, "no", "RT @a: this is a retweet")
    with pytest.raises(MynahError, match=r"no text is left of 2 documents \(1 too few words, 1 retweet\)"):
        build(bot_with(), bucket)
    assert bucket.names("demo", "datasets") == []


@given(st.text(), st.floats(0.01, 0.5), st.floats(0.01, 0.49))
def test_a_text_keeps_its_side_when_the_share_grows(key: str, fraction: float, more: float) -> None:
    if split_of(key, fraction) == "dev":
        assert split_of(key, fraction + more) == "dev"


def test_a_new_key_at_its_default_leaves_a_dataset_as_it_is(bucket: Bucket) -> None:
    class NewerClean(Clean):
        shout: bool = False

    class NewerTrain(Train):
        magic: int = 0

    class NewerBot(Bot):
        clean: NewerClean = NewerClean()
        train: NewerTrain = NewerTrain()

    scraped(bucket, "one good text here")
    first = build(bot_with(min_words=2), bucket)
    sources = {"s": FileSource(url="x")}
    newer = build(NewerBot(name="demo", sources=sources, clean=NewerClean(min_words=2)), bucket)
    assert (newer.id, newer.skipped) == (first.id, True)
    assert not build(NewerBot(name="demo", sources=sources, clean=NewerClean(min_words=2, shout=True)), bucket).skipped
