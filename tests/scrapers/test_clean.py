"""What is told of the rules of cleaning."""

import json
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from mynah.bot import Bot, Clean, FileSource
from mynah.bucket import Bucket
from mynah.document import Document, pack
from scrapers.clean import Checked, check, difference, shown
from scrapers.verbs import clean

TEXTS = ["fine as it is", "RT @a: no thanks to you", "Tom &amp; Jerry  https://x.y", "hi", "\x1b[2Jred\nand blue"]


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    bucket = Bucket(str(tmp_path))
    documents = [Document(id=str(number), text=text) for number, text in enumerate(TEXTS)]
    bucket.write(pack(documents), "demo", "raw", "s", "1.jsonl.zst")
    return bucket


def demo() -> Bot:
    return Bot(name="demo", sources={"s": FileSource(url="x")}, clean=Clean(min_words=2))


def test_counts_are_by_rule_in_their_order(bucket: Bucket) -> None:
    checked = check(demo(), bucket)
    assert checked == Checked(
        documents=5,
        kept=3,
        changed={"unescape_html": 1, "strip_links": 1, "newlines": 2},
        left_out={"drop_retweets": 1, "min_words": 1},
        samples=[],
    )
    assert checked.summary().splitlines()[:2] == ["5 documents, 3 kept", "  changed           1  unescape_html"]


def test_samples_are_of_every_rule_and_none_twice(bucket: Bucket) -> None:
    assert [sample.id for sample in check(demo(), bucket, 9).samples] == ["1", "2", "3", "4"]
    assert [sample.id for sample in check(demo(), bucket, 2).samples] == ["1", "2"]
    documents = [Document(id=f"x{number}", text=f"number {number} &lt; {number + 1}") for number in range(300)]
    bucket.write(pack(documents), "demo", "raw", "s", "2.jsonl.zst")
    drawn = [sample.id for sample in check(demo(), bucket, 20).samples]
    assert len(set(drawn)) == 20
    assert {"1", "3"} <= set(drawn)
    assert Counter(id.startswith("x") for id in drawn)[True] >= 10


def test_a_difference_is_told_by_words_without_what_a_terminal_obeys(bucket: Bucket) -> None:
    assert [*difference("so &amp; so", "so & so")] == [("", "so &"), ("-", "amp;"), ("", " so")]
    _, changed, short, joined = (shown(sample, colour=False).plain for sample in check(demo(), bucket, 9).samples)
    assert "strip_links" in changed
    assert "[-https://x.y-]" in changed
    assert joined.count("\\x1b[2Jred[-⏎-]{+ +}and blue") == 1
    assert short == "s 3  left out: too few words\n  min_words             [-hi-]\n"
    coloured = shown(check(demo(), bucket, 1).samples[0], colour=True)
    assert "red strike" in [span.style for span in coloured.spans]


def test_the_verb_tells_people_and_machines(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "demo.yaml").write_text("bots: {demo: {sources: {s: {url: x}}, clean: {min_words: 2}}}")
    monkeypatch.setenv("MYNAH_BUCKET", bucket.url)
    plain = CliRunner().invoke(clean, [str(tmp_path / "demo.yaml"), "--explain"])
    assert plain.stdout.startswith("s 1  left out: retweet\n  drop_retweets         [-RT @a: no thanks to you-]\n\n")
    assert plain.stdout.endswith("  left out          1  min_words\n")
    told = json.loads(CliRunner().invoke(clean, [str(tmp_path / "demo.yaml"), "--json"]).stdout)
    assert (told["left_out"], told["samples"]) == ({"drop_retweets": 1, "min_words": 1}, [])
