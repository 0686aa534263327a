"""The recitation index: it says in a file what the texts say in memory."""

from pathlib import Path

import pytest

from mynah.bot import Bot, Clean, FileSource, Judge
from mynah.bucket import Bucket
from mynah.document import Document, pack, unpack
from mynah.recitation import FILE, Copied, Recitation, shingles
from mynah.rules import copying
from mynah.text import same_text_key
from tests.near import jaccard
from training.dataset import build

TEXTS = [
    f"{who} {does} {what}, and {then}."
    for who in ("The mynah", "A crow", "My parrot", "The old owl")
    for does in ("repeats", "forgets", "whistles", "learns by heart")
    for what in ("the news", "a short song", "your secret")
    for then in ("nobody has ever asked it why", "flies away", "that is all there is to say about it")
]
NEAR = [f"{text[:-1]} {number}." for number, text in enumerate(TEXTS)]
ASKED = [
    *NEAR,
    *TEXTS[::7],
    "a CROW repeats  the news and flies away",
    "A crow repeats the news, and nobody has ever asked it a single question.",
    "Nothing of this was ever said by any bird.",
    "flies away",
    "",
    "half \ud83d of one",
]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bucket, str]:
    """A dataset that lacks some of what was scraped."""
    bucket = Bucket(str(tmp_path_factory.mktemp("bucket")))
    documents = [Document(id=str(number), text=text) for number, text in enumerate(TEXTS + NEAR)]
    bucket.write(pack(documents), "demo", "raw", "s", "1.jsonl.zst")
    bot = Bot(name="demo", sources={"s": FileSource(url="x")}, clean=Clean(max_words=18, drop_near_duplicates=True))
    made = build(bot, bucket)
    assert made.counts["dropped"]["near-duplicate"] > 0
    return bucket, made.id


def texts(made: tuple[Bucket, str]) -> list[str]:
    bucket, id = made
    splits = ("train", "dev")
    return [d.text for split in splits for d in unpack(bucket.read("demo", "datasets", id, f"{split}.jsonl.zst"))]


def test_verdicts_are_those_of_the_texts_in_memory(made: tuple[Bucket, str]) -> None:
    bucket, id = made
    kept = texts(made)
    assert 0 < len(kept) < len(TEXTS)
    index, memory = Recitation(Path(bucket.path("demo", "datasets", id, FILE))), Copied.of(kept)
    assert index.texts == len(kept)
    shares = [index.copied.share(text) for text in ASKED + TEXTS]
    assert shares == [memory.share(text) for text in ASKED + TEXTS]
    assert {0.0, 1.0} < set(shares)


def test_the_nearest_training_text_is_found(made: tuple[Bucket, str]) -> None:
    bucket, id = made
    kept = texts(made)
    index = Recitation(Path(bucket.path("demo", "datasets", id, FILE)))
    assert all(index.nearest(text.upper()) == 1.0 for text in kept)
    assert index.nearest("Nothing of this was ever said by any bird.") < 0.5
    near = kept[0].replace("mynah", "myna")
    true = max(jaccard(shingles(same_text_key(near)), shingles(same_text_key(text))) for text in kept)
    assert abs(index.nearest(near) - true) < 0.2


def test_an_index_of_another_version_is_refused(made: tuple[Bucket, str], tmp_path: Path) -> None:
    bucket, id = made
    data = bucket.read("demo", "datasets", id, FILE)
    (tmp_path / FILE).write_bytes(data.replace(b'"version": 1', b'"version": 9', 1))
    with pytest.raises(ValueError, match="version 9"):
        Recitation(tmp_path / FILE)


def test_what_was_copied_is_told_and_what_is_new_is_not(made: tuple[Bucket, str]) -> None:
    """In small; make bench PART=recitation does it with real texts."""
    bucket, id = made
    copied = Recitation(Path(bucket.path("demo", "datasets", id, FILE))).copied
    kept = [text for text in texts(made) if len(text.split()) >= 8]
    cut = [" ".join(text.split()[len(text.split()) // 3 :]) for text in kept]
    assert all(copying(text, Judge(), copied) for text in kept + cut if len(text.split()) >= 5)
    new = [
        "A crow repeats the news, and nobody else has heard of it before.",
        "Nothing of this was ever said by any bird.",
        "When it rains, my parrot whistles a tune that it must have heard in another house.",
    ]
    assert not any(copying(text, Judge(), copied) for text in new)
    edited = [text.replace(" and ", " so ").replace("nobody", "no one") for text in kept]
    assert sum(copying(text, Judge(), copied) is not None for text in edited) > len(edited) / 2
