"""What the bots' sections `clean` make of real data: counts by rule."""

import json
from pathlib import Path

import pytest

from mynah.bot import Bot, FileSource, load
from mynah.bucket import Bucket
from mynah.cleaning import cleaning
from mynah.document import Document, pack
from scrapers.clean import Checked, check
from scrapers.file import read_documents

BOTS = Path(__file__).parents[2] / "bots"


def checked(bot: Bot, documents: list[Document], folder: Path) -> Checked:
    bucket = Bucket(str(folder))
    (source,) = bot.sources
    bucket.write(pack(documents), bot.name, "raw", source, "1.jsonl.zst")
    return check(bot, bucket)


def test_bugurts_lose_their_header_links_and_tags_and_are_joined(shared: Path, tmp_path: Path) -> None:
    bot = load(BOTS / "bugurt.yaml")
    posts = [
        row["text"]
        for file in sorted((shared / "data/telegram").glob("*.json"))
        for row in json.loads(file.read_text())
    ]
    posts = [text for text in posts if text]
    found = checked(bot, [Document(id=str(number), text=text) for number, text in enumerate(posts)], tmp_path)
    assert found.changed == {"drop_lines": 1232, "strip_links": 12, "newlines": 1871}
    assert found.left_out == {"min_words": 156}
    assert (found.documents, found.kept) == (2268, 2112)
    bugurt = "БУГУРТ-ТРЕД\nПРИХОДИШЬ ДОМОЙ\nА ТАМ НИКОГО НЕТ\nhttps://t.me/x\n#БТnews"
    for text in (bugurt, *posts):
        cleaned = cleaning(bot.clean)(Document(id="1", text=text)).text
        assert not any(part in cleaned for part in ("БУГУРТ-ТРЕД", "https", "#БТnews", "\n"))
    assert cleaning(bot.clean)(Document(id="1", text=bugurt)).text == "ПРИХОДИШЬ ДОМОЙ А ТАМ НИКОГО НЕТ"


CSV = {
    "id": "status_id",
    "text": "text",
    "created_at": "created_at",
    "likes": "favorite_count",
    "retweet": "is_retweet",
}


@pytest.mark.parametrize(
    ("file", "fields", "counts"),
    [
        ("condensed_2016.json", None, (4225, 3944, {"drop_retweets": 188, "drop_leading_link": 2, "min_words": 91})),
        ("sample_2016.csv", CSV, (300, 277, {"drop_retweets": 18, "min_words": 5})),
    ],
)
def test_retweets_and_leading_links_are_left_out_of_the_trump_archive(
    file: str, fields: dict[str, str] | None, counts: tuple[int, int, dict[str, int]], shared: Path, tmp_path: Path
) -> None:
    bot = load(BOTS / "trump.yaml")
    source = bot.sources["archive"]
    assert isinstance(source, FileSource)
    path = shared / "data/trump" / file
    source = source.model_copy(update={"url": str(path), **({"fields": fields} if fields else {})})
    with path.open("rb") as stream:
        documents = [*read_documents(stream, source, [])]
    found = checked(bot, documents, tmp_path)
    assert (found.documents, found.kept, found.left_out) == counts
    retweets = sum(document.repost or document.text.startswith("RT @") for document in documents)
    assert found.left_out["drop_retweets"] == retweets
    texts = [cleaned.text for document in documents if not (cleaned := cleaning(bot.clean)(document)).reason]
    assert not any("https://" in text or text.startswith("RT @") or "&amp;" in text for text in texts)
    assert any("&" in text for text in texts)
