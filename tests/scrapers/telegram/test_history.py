"""Channels through Telegram's API: Telethon itself, signed in at a server that speaks MTProto."""

import random
import stat
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from telethon.crypto import rsa
from telethon.tl.types import MessageActionChannelCreate, MessageFwdHeader, MessageService, PeerChannel

from mynah.bot import Bot, load
from mynah.bucket import Bucket
from mynah.document import Document, unpack
from mynah.errors import MynahError, UsageError
from mynah.settings import Settings
from scrapers import telegram, verbs
from scrapers.scrape import Scraped, scrape
from scrapers.telegram import client
from simulators.telegram.handshake import PUBLIC_PEM
from simulators.telegram.server import Telegram, post, serving
from tests.scrapers.kill import killed, rounds, was_killed


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[Telegram, str]]:
    """The server, and its address."""
    served = Telegram()
    with serving(served) as (host, port):
        rsa.add_key(PUBLIC_PEM, old=False)  # Telethon's own way to make a server known
        yield served, f"{host}:{port}"


@pytest.fixture
def there(server: tuple[Telegram, str], monkeypatch: pytest.MonkeyPatch) -> Telegram:
    """The server with one channel, which is empty."""
    served, _ = server
    fresh = Telegram(keys=served.keys, signed_in=served.signed_in)
    served.__dict__.update(fresh.__dict__)
    served.channels = {"bugurt": []}
    monkeypatch.setattr(telegram, "PAUSE", 0)
    return served


@pytest.fixture
def environment(server: tuple[Telegram, str], tmp_path: Path) -> dict[str, str]:
    served, address = server
    id, secret = served.api
    return {
        "MYNAH_HOME": str(tmp_path / "home"),
        "TELEGRAM_API_ID": str(id),
        "TELEGRAM_API_HASH": secret,
        "TELEGRAM_SERVER": address,
    }


@pytest.fixture(scope="module")
def session(server: tuple[Telegram, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """That of an account which has signed in."""
    folder = tmp_path_factory.mktemp("session")
    served, address = server
    served.password = None
    id, secret = served.api
    env = {"MYNAH_HOME": str(folder), "TELEGRAM_API_ID": str(id), "TELEGRAM_API_HASH": secret}
    sign_in(bot_file(folder), env | {"TELEGRAM_SERVER": address}, served.phone, served.code)
    return (folder / "me.session").read_text()


def bot_file(folder: Path, channel: str = "bugurt", more: str = "") -> Path:
    file = folder / "demo.yaml"
    source = f"{{kind: telegram, channel: {channel}, session: me.session{more}}}"
    file.write_text(f"bots: {{demo: {{sources: {{posts: {source}}}}}}}")
    return file


def bot_of(folder: Path, environment: dict[str, str], **bot: str) -> tuple[Bot, Settings]:
    return load(bot_file(folder, **bot)), Settings.read(environment)


def sign_in(file: Path, environment: dict[str, str], *answers: str) -> Result:
    return CliRunner().invoke(
        verbs.scrape, [str(file), "--login"], input="".join(f"{answer}\n" for answer in answers), env=environment
    )


def stored(bucket: Bucket) -> list[Document]:
    pages = bucket.names("demo", "raw", "posts")
    return [document for page in pages for document in unpack(bucket.read("demo", "raw", "posts", page))]


def numbers(bucket: Bucket) -> Counter[int]:
    return Counter(int(document.id.partition("/")[2]) for document in stored(bucket))


def test_one_signs_in_once_and_scrapes(there: Telegram, environment: dict[str, str], tmp_path: Path) -> None:
    """With a code and a password; the session is nobody else's to read."""
    there.password = "correct horse"
    there.channels["bugurt"] = [post(id, f"БУГУРТ {id}") for id in range(1, 251)]
    bot, settings = bot_of(tmp_path, environment)
    assert "there is no session yet: `mynah scrape BOT --login`" in scrape(bot, settings).failed["posts"]
    done = sign_in(tmp_path / "demo.yaml", environment, there.phone, there.code, there.password)
    assert done.exit_code == 0, done.output
    assert "correct horse" not in done.output
    file = settings.home / "me.session"
    assert f"{file}: the session is written" in done.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert scrape(bot, settings) == Scraped({"posts": 250}, {"posts": 250})
    assert there.asked == [0, 151, 51]
    assert numbers(settings.bucket) == Counter(range(1, 251))


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (("49000000", "", ""), "The phone number is invalid"),
        (("", "13579", ""), "The phone code entered was invalid"),
        (("", "", "guess"), "you entered is invalid"),
    ],
)
def test_a_wrong_answer_is_one_line(
    there: Telegram, environment: dict[str, str], tmp_path: Path, wrong: tuple[str, str, str], says: str
) -> None:
    there.password = "correct horse"
    right = (there.phone, there.code, there.password)
    done = sign_in(bot_file(tmp_path), environment, *(a or b for a, b in zip(wrong, right, strict=True)))
    assert isinstance(done.exception, UsageError)
    assert says in str(done.exception)
    assert not (tmp_path / "home" / "me.session").exists()


def test_the_session_may_come_from_a_secret(
    there: Telegram, environment: dict[str, str], tmp_path: Path, session: str
) -> None:
    there.channels["bugurt"] = [post(1, "one")]
    bot, settings = bot_of(tmp_path, environment | {"TELEGRAM_SESSION": session})
    assert scrape(bot, settings).new == {"posts": 1}


def test_a_post_as_it_is_kept(there: Telegram, environment: dict[str, str], tmp_path: Path, session: str) -> None:
    """In the same words and under the same id as from the preview."""
    source = MessageFwdHeader(date=post(1, "").date)
    there.channels["bugurt"] = [
        MessageService(
            id=1,
            peer_id=PeerChannel(1000),
            date=post(1, "").date,
            action=MessageActionChannelCreate("bugurt"),
        ),
        post(2, ""),  # a picture
        post(3, "КУПИЛ ТЕЛЕФОН\n@\nСЛОМАЛ", views=12, forwards=0),
        post(4, "not mine", fwd_from=source, post_author="Ivan"),
    ]
    bot, settings = bot_of(tmp_path, environment | {"TELEGRAM_SESSION": session})
    assert scrape(bot, settings) == Scraped({"posts": 2}, {"posts": 2})
    date = "2024-01-01T00:00:00+00:00"
    numbers: dict[str, Any] = {"views": 12, "forwards": 0}
    assert stored(settings.bucket) == [
        Document("bugurt/3", "КУПИЛ ТЕЛЕФОН\n@\nСЛОМАЛ", "bugurt", date, numbers),
        Document("bugurt/4", "not mine", "Ivan", date, {}, repost=True),
    ]


def test_it_waits_as_long_as_telegram_asks_and_says_so(
    there: Telegram,
    environment: dict[str, str],
    tmp_path: Path,
    session: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    there.channels["bugurt"] = [post(1, "one")]
    there.floods = [1, 1]
    bot, settings = bot_of(tmp_path, environment | {"TELEGRAM_SESSION": session})
    assert scrape(bot, settings).new == {"posts": 1}
    assert capsys.readouterr().err == "Telegram asks to wait 1 s: asking again then\n" * 2
    monkeypatch.setattr(client, "MAX_WAIT", 10)
    there.floods = [7200]
    assert scrape(bot, settings).failed == {"posts": "Telegram asks to wait 2.0 hours: come again then"}


def test_a_cut_connection_is_made_anew(
    there: Telegram, environment: dict[str, str], tmp_path: Path, session: str
) -> None:
    there.channels["bugurt"] = [post(1, "one")]
    there.hang_ups = 1
    bot, settings = bot_of(tmp_path, environment | {"TELEGRAM_SESSION": session})
    assert scrape(bot, settings).new == {"posts": 1}


def test_a_server_that_hangs_up_for_ever_is_left(
    there: Telegram, environment: dict[str, str], tmp_path: Path, session: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "TIMEOUT", 2)
    there.channels["bugurt"] = [post(1, "one")]
    there.hang_ups = 1 << 30
    bot, settings = bot_of(tmp_path, environment | {"TELEGRAM_SESSION": session})
    assert scrape(bot, settings).failed == {"posts": "Telegram gives no answer (none in time): try again later"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"channel": "nobody_there"}, "Telegram has no channel nobody_there: check its name"),
        ({"TELEGRAM_API_ID": ""}, "TELEGRAM_API_ID and TELEGRAM_API_HASH are not set"),
        ({"TELEGRAM_SESSION": "1abc"}, "the session is cut off"),
        ({"private": "bugurt"}, "bugurt is private: let the session's account join it"),
        ({"signed out": "yes"}, "Telegram no longer takes the session"),
        ({"forgotten": "yes"}, "Telegram no longer knows the session"),
        ({"nobody answers": "yes"}, "Telegram gives no answer"),
    ],
)
def test_what_goes_wrong_is_one_line(
    there: Telegram,
    environment: dict[str, str],
    tmp_path: Path,
    session: str,
    change: dict[str, str],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    environment |= {"TELEGRAM_SESSION": session} | {name: change[name] for name in change if name.isupper()}
    if "private" in change:
        there.private = {"bugurt"}
    if "signed out" in change:
        monkeypatch.setattr(there, "signed_in", set())
    if "forgotten" in change:
        kept = dict(there.keys)
        there.keys.clear()
    if "nobody answers" in change:
        environment["TELEGRAM_SESSION"] = moved(session)
    bot, settings = bot_of(tmp_path, environment, **({"channel": change["channel"]} if "channel" in change else {}))
    said = scrape(bot, settings).failed["posts"]
    if "forgotten" in change:
        there.keys.update(kept)
    assert says in said
    assert "\n" not in said


def moved(session: str) -> str:
    """A session of a server where nobody listens."""
    from telethon.sessions import StringSession

    kept = StringSession(session)
    kept.set_dc(2, "127.0.0.1", 1)
    return str(kept.save())


def test_a_bot_without_a_session_needs_no_login(tmp_path: Path, environment: dict[str, str]) -> None:
    file = tmp_path / "demo.yaml"
    file.write_text("bots: {demo: {sources: {posts: {kind: telegram, channel: bugurt}}}}")
    done = sign_in(file, environment)
    assert isinstance(done.exception, MynahError)
    assert str(done.exception) == "bot demo needs no login: no source of kind telegram names a session"


@pytest.mark.slow
@pytest.mark.parametrize("number", rounds(1))
def test_killed_at_any_moment_it_ends_as_if_undisturbed(
    number: int, there: Telegram, environment: dict[str, str], tmp_path: Path, session: str
) -> None:
    """Kills at random calls; meanwhile there are new posts. No page is asked for twice once it is kept."""
    chance = random.Random(10 + number)
    environment |= {"TELEGRAM_SESSION": session}
    bot, settings = bot_of(tmp_path, environment)
    there.channels["bugurt"] = [post(id, f"text {id}") for id in range(1, 1001)]
    calls = int(killed(tmp_path / "demo.yaml", environment | {"MYNAH_HOME": str(tmp_path / "whole")}).stdout)
    there.asked.clear()
    kills = 0
    for last in (1001, 1150, 1300, 1301, 1450):
        there.channels["bugurt"] = [post(id, f"text {id}") for id in range(1, last)]
        kills += was_killed(tmp_path / "demo.yaml", environment, chance.randrange(calls // 10, calls // 2))
    scrape(bot, settings)
    assert numbers(settings.bucket) == Counter(range(1, 1450))
    older = Counter(before for before in there.asked if before)
    assert sum(older.values()) - len(older) <= kills
