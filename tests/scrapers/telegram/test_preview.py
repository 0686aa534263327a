"""The telegram source: a channel's preview pages, read from a stand-in that serves them as Telegram does."""

import random
from collections import Counter
from collections.abc import Iterator
from html import escape
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from mynah.bot import Bot, load
from mynah.bot.sources.telegram import TelegramSource
from mynah.bucket import Bucket
from mynah.document import Document, unpack
from mynah.errors import UsageError
from mynah.settings import Settings
from scrapers import telegram
from scrapers.page import Context
from scrapers.scrape import Scraped, scrape
from scrapers.telegram.preview import read_page
from tests.loopback import served_by
from tests.scrapers.kill import killed, rounds, was_killed

PER_PAGE = 20
POST = """\
<div class="tgme_widget_message_wrap js-widget_message_wrap"><div
 class="tgme_widget_message text_not_supported_wrap js-widget_message" data-post="bugurt/{id}">
<div class="tgme_widget_message_bubble">
<div class="tgme_widget_message_author accent_color"><a href="https://t.me/bugurt"><span
 dir="auto">Bugurt</span></a></div>
{text}
<div class="tgme_widget_message_footer compact js-message_footer"><div class="tgme_widget_message_info short">
<span class="tgme_widget_message_views">1.2K</span><span class="copyonly"> views</span><span
 class="tgme_widget_message_meta"><a class="tgme_widget_message_date" href="https://t.me/bugurt/{id}"><time
 datetime="2026-02-28T08:48:01+00:00" class="time">08:48</time></a></span></div></div></div></div></div>
"""
TEXT = '<div class="tgme_widget_message_text js-message_text" dir="auto">{}</div>'
PAGE = """\
<!DOCTYPE html><html><head><title>Bugurt</title>{link}</head><body><main class="tgme_main">
<section class="tgme_channel_history js-message_history">{posts}</section></main></body></html>
"""
ELSEWHERE = "<!DOCTYPE html><html><body class='tgme_page'>If you have Telegram, you can contact @bugurt.</body></html>"


class Channel:
    """Posts by their ids, and how the preview was asked for: before which post, 0 for the newest page."""

    def __init__(self) -> None:
        self.posts: dict[int, str | None] = {}
        self.asked: list[int] = []
        self.back = True  # whether a page of older posts leads further back, as it should

    def post(self, *ids: int) -> None:
        """One post in ten is a picture without a text."""
        self.posts |= {id: None if id % 10 == 0 else f"БУГУРТ {id}\n<ПРИХОДИШЬ> & уходишь" for id in ids}

    def page(self, before: int) -> str:
        ids = [id for id in sorted(self.posts) if not before or id < before]
        shown, older = ids[-PER_PAGE:], ids[:-PER_PAGE]
        link = f'<link rel="prev" href="/s/bugurt?before={shown[0] if self.back else 10**6}">' if older else ""
        return PAGE.format(link=link, posts="".join(POST.format(id=id, text=self._text(id)) for id in shown))

    def _text(self, id: int) -> str:
        text = self.posts[id]
        return TEXT.format(escape(text).replace("\n", "<br/>")) if text else ""


@pytest.fixture
def channel() -> Channel:
    return Channel()


@pytest.fixture
def url(channel: Channel, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    class Preview(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            where = urlsplit(self.path)
            before = int(parse_qs(where.query).get("before", ["0"])[0])
            channel.asked.append(before)
            body = (channel.page(before) if where.path == "/s/bugurt" else ELSEWHERE).encode()
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    monkeypatch.setattr(telegram, "PAUSE", 0)
    with served_by(Preview) as url:
        yield url


def bot_of(folder: Path, url: str, more: str = "", name: str = "bugurt") -> tuple[Bot, Settings]:
    file = folder / "demo.yaml"
    file.write_text(f"bots: {{demo: {{sources: {{posts: {{kind: telegram, channel: '{name}'{more}}}}}}}}}")
    return load(file), Settings.read(environment(folder, url))


def environment(folder: Path, url: str) -> dict[str, str]:
    return {"MYNAH_HOME": str(folder / "home"), "MYNAH_ALLOW_PRIVATE": "1", "TELEGRAM_URL": url}


def stored(bucket: Bucket) -> Counter[int]:
    pages = bucket.names("demo", "raw", "posts")
    return Counter(
        int(d.id.partition("/")[2]) for page in pages for d in unpack(bucket.read("demo", "raw", "posts", page))
    )


def with_text(*ranges: range) -> Counter[int]:
    return Counter(id for ids in ranges for id in ids if id % 10)


def test_the_whole_history_and_then_what_is_new(tmp_path: Path, url: str, channel: Channel) -> None:
    channel.post(*range(1, 46), *range(60, 75))  # between them, posts were deleted
    bot, settings = bot_of(tmp_path, url)
    assert scrape(bot, settings) == Scraped({"posts": 54}, {"posts": 54})
    assert channel.asked == [0, 41, 21]
    channel.asked.clear()
    assert scrape(bot, settings) == Scraped({"posts": 0}, {"posts": 0})
    assert channel.asked == [0]
    channel.post(*range(75, 130))
    assert scrape(bot, settings) == Scraped({"posts": 50}, {"posts": 50})
    assert channel.asked == [0, 0, 110, 90]
    assert stored(settings.bucket) == with_text(range(1, 46), range(60, 130))


def test_a_post(tmp_path: Path, url: str, channel: Channel) -> None:
    channel.post(7)
    bot, settings = bot_of(tmp_path, url)
    scrape(bot, settings)
    (page,) = settings.bucket.names("demo", "raw", "posts")
    assert list(unpack(settings.bucket.read("demo", "raw", "posts", page))) == [
        Document(
            id="bugurt/7",
            text="БУГУРТ 7\n<ПРИХОДИШЬ> & уходишь",
            author="bugurt",
            created_at="2026-02-28T08:48:01+00:00",
            numbers={"views": 1200},
        )
    ]


def test_the_first_scrape_goes_back_as_far_as_asked(tmp_path: Path, url: str, channel: Channel) -> None:
    channel.post(*range(1, 101))
    bot, settings = bot_of(tmp_path, url, more=", limit: 30")
    scrape(bot, settings)
    assert channel.asked == [0, 81]
    channel.post(*range(101, 201))
    scrape(bot, settings)
    assert channel.asked == [0, 81, 0, 181, 161, 141, 121, 101]  # all that is new, whatever the limit
    assert stored(settings.bucket) == with_text(range(61, 201))


def test_a_walk_that_was_interrupted_goes_on_and_then_reads_what_is_new(url: str, channel: Channel) -> None:
    channel.post(*range(1, 81))
    source = TelegramSource.model_validate({"kind": "telegram", "channel": "bugurt"})
    settings = Settings.read({"MYNAH_ALLOW_PRIVATE": "1", "TELEGRAM_URL": url})
    walk = telegram.scrape(source, None, Context("demo", "posts", settings))
    first, second = next(walk), next(walk)
    assert channel.asked == [0, 61]
    channel.post(*range(81, 91))
    rest = list(telegram.scrape(source, second.cursor, Context("demo", "posts", settings)))
    assert channel.asked == [0, 61, 41, 21, 0]
    assert rest[-1].cursor == {"channel": "bugurt", "through": 90}
    read = Counter(int(document.id.partition("/")[2]) for page in (first, second, *rest) for document in page.documents)
    assert read == with_text(range(1, 91))


def test_another_channel_is_read_from_its_own_newest_post(url: str, channel: Channel) -> None:
    channel.post(*range(1, 10))
    source = TelegramSource.model_validate({"kind": "telegram", "channel": "bugurt"})
    settings = Settings.read({"MYNAH_ALLOW_PRIVATE": "1", "TELEGRAM_URL": url})
    (page,) = telegram.scrape(source, {"channel": "another", "through": 1000}, Context("demo", "posts", settings))
    assert len(page.documents) == 9


def test_a_channel_that_does_not_exist_is_one_line(tmp_path: Path, url: str) -> None:
    said = scrape(*bot_of(tmp_path, url, name="nobody_there")).failed["posts"]
    assert "shows no posts: there is no public channel nobody_there" in said
    assert "\n" not in said


def test_pages_that_lead_back_to_themselves_are_left(tmp_path: Path, url: str, channel: Channel) -> None:
    channel.post(*range(1, 81))
    channel.back = False
    assert "which leads back here" in scrape(*bot_of(tmp_path, url)).failed["posts"]
    assert len(channel.asked) == 2


@pytest.mark.parametrize("name", ["bugurt", "@bugurt", "t.me/bugurt", "https://t.me/bugurt", "https://t.me/s/bugurt/"])
def test_a_channel_by_its_name_or_address(tmp_path: Path, name: str) -> None:
    bot, _ = bot_of(tmp_path, "", name=name)
    assert isinstance(bot.sources["posts"], TelegramSource)
    assert bot.sources["posts"].channel == "bugurt"


@pytest.mark.parametrize(
    "name", ["", "a", "two words", "../etc", "name?before=1", "https://t.me/+AbCdEf", "https://t.me/c/1/2"]
)
def test_what_names_no_channel_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"demo\.yaml:1: .*channel.*names no public channel"):
        bot_of(tmp_path, "", name=name)


def test_pages_as_telegram_sends_them(shared: Path) -> None:
    folder = shared / "data" / "telegram-preview"
    page = read_page((folder / "full.html").read_bytes(), "topwar_official")
    assert page is not None
    assert page.before == 70989
    documents = [document for document in page.posts.values() if document]
    assert len(documents) == len(page.posts) == 12
    assert documents[0].numbers == {"views": 37200}
    assert documents[0].text.startswith("В Санкт-Петербурге в небо над городом подняли истребители")
    reposts = [int(document.id.partition("/")[2]) for document in documents if document.repost]
    assert reposts == [70996, 70998, 71006, 71007, 71008]
    found = {}
    for file in folder.glob("message_*.html"):
        message = read_page(b"<div class=tgme_channel_history>" + file.read_bytes(), "channel")
        assert message is not None
        found[file.stem] = [document.text.partition("\n")[0] for document in message.posts.values() if document]
    assert found == {
        "message_link_preview": ["https://vnnews.ru/georgiy-zotov-okkupaciya-volosatym-kr/"],
        "message_media_forwarded_from": ["Британская разведка выяснила, почему Ким Чен Ын начал выводить дочку в свет"],
        "message_media_photo_and_video": ["Ночью над Белгородом сбили 3 беспилотника"],
        "message_poll": [],
        "message_text": ["Неопознанный летающий объект замечен в 160 – 200 км от Петербурга"],
        "message_voice": ["Обсудили:"],
        "message_with_from_author": ["test"],
    }


@pytest.mark.slow
@pytest.mark.parametrize("number", rounds(2))
def test_killed_at_any_moment_it_ends_as_if_undisturbed(
    tmp_path: Path, url: str, channel: Channel, number: int
) -> None:
    """Kills at random calls; meanwhile there are new posts. No page is asked for twice once it is kept."""
    chance = random.Random(number)
    channel.post(*range(1, 201))
    (tmp_path / "whole").mkdir()
    bot_of(tmp_path / "whole", url)
    calls = int(killed(tmp_path / "whole/demo.yaml", environment(tmp_path / "whole", url)).stdout)
    channel.asked.clear()
    bot, settings = bot_of(tmp_path, url)
    kills = 0
    for last in (201, 230, 231, 260):
        channel.post(*range(201, last))
        kills += was_killed(
            tmp_path / "demo.yaml", environment(tmp_path, url), chance.randrange(calls // 10, calls // 2)
        )
    scrape(bot, settings)
    assert stored(settings.bucket) == with_text(range(1, 260))
    older = Counter(before for before in channel.asked if before)
    assert sum(older.values()) - len(older) <= kills
