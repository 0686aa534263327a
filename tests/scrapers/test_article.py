"""The article source, scraped from a website that behaves as websites do."""

import json
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from mynah.bot import Bot, load
from mynah.document import Document, unpack
from mynah.errors import UsageError
from mynah.settings import Settings
from scrapers import article, crawl
from scrapers import fetch as fetching
from scrapers.raw import Raw
from scrapers.scrape import Scraped, scrape
from scrapers.verbs import scrape as verb
from simulators.site import Site, application, pages_of
from tests.loopback import app_served
from tests.scrapers.kill import killed, rounds, was_killed

ARTICLE = """\
<!DOCTYPE html><html><head><meta charset="utf-8"><title>{n}</title><meta name="author" content="Stella"></head>
<body><nav><a href="/">home</a></nav><article><time datetime="2026-03-{day:02}"></time><div class="text">
<p>The stars of day {n} are kind to those who wait, and kinder still to those who do not — so go out today.</p>
<p>RELATED: what the stars said yesterday</p>
<p>Tomorrow, number {n}, Mars will have changed its mind again, and all of this will have been somebody else.</p>
</div></article><footer>© the stars</footer></body></html>"""


def made(*numbers: int) -> dict[str, bytes]:
    return {f"/articles/{n}": ARTICLE.format(n=n, day=n % 28 + 1).encode() for n in numbers}


@pytest.fixture
def site() -> Site:
    return Site(made(*range(1, 6)))


@pytest.fixture
def url(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setattr(fetching, "BACK_OFF", (0, 0))
    with app_served(application(site)) as url:
        yield url


def bot_of(folder: Path, url: str, lists: str = "pages: [/]", more: str = "") -> tuple[Bot, Settings]:
    """A bot with one source, whose lists are at paths of the site."""
    kind, _, paths = lists.partition(": ")
    addresses = json.dumps([f"{url}{path}" for path in paths.strip("[]").split(", ")])
    file = folder / "demo.yaml"
    file.write_text(f"bots: {{demo: {{sources: {{stars: {{kind: article, pause: 0, {kind}: {addresses}{more}}}}}}}}}")
    return load(file), Settings.read(environment(folder))


def environment(folder: Path) -> dict[str, str]:
    return {"MYNAH_HOME": str(folder / "home"), "MYNAH_ALLOW_PRIVATE": "127.0.0.1"}


def stored(settings: Settings) -> list[Document]:
    bucket = settings.bucket
    pages = bucket.names("demo", "raw", "stars")
    return [document for page in pages for document in unpack(bucket.read("demo", "raw", "stars", page))]


def asked(site: Site) -> Counter[str]:
    return Counter(path for path in site.asked if path.startswith("/articles/"))


def told(scraped: Scraped) -> list[str]:
    return scraped.problems.get("stars", [])


def test_every_article_once_and_then_what_is_new(tmp_path: Path, site: Site, url: str) -> None:
    bot, settings = bot_of(tmp_path, url)
    assert scrape(bot, settings) == Scraped({"stars": 5}, {"stars": 5})
    assert asked(site) == dict.fromkeys(site.pages, 1)
    assert {document.id for document in stored(settings)} == {f"{url}{path}" for path in site.pages}
    site.asked.clear()
    assert scrape(bot, settings) == Scraped({"stars": 5}, {"stars": 0})
    assert site.asked == ["/robots.txt"]
    assert site.unchanged == ["/"]
    site.pages |= made(6)
    assert scrape(bot, settings) == Scraped({"stars": 6}, {"stars": 1})
    assert asked(site) == {"/articles/6": 1}
    assert all(agent.startswith("mynah/") for agent in site.agents)


def test_a_document(tmp_path: Path, site: Site, url: str) -> None:
    bot, settings = bot_of(tmp_path, url, more=", limit: 1, body: [div.text], drop_lines: ['RELATED:']")
    scrape(bot, settings)
    (document,) = stored(settings)
    assert document == Document(
        id=f"{url}/articles/1",
        text="The stars of day 1 are kind to those who wait, and kinder still to those who do not — so go out today."
        "\n\n\nTomorrow, number 1, Mars will have changed its mind again, and all of this will have been somebody"
        " else.",
        author="Stella",
        created_at="2026-03-02",
    )


def test_without_selectors_the_text_is_found(tmp_path: Path, site: Site, url: str) -> None:
    bot, settings = bot_of(tmp_path, url, more=", limit: 1")
    scrape(bot, settings)
    (document,) = stored(settings)
    assert document.text.startswith("The stars of day 1")
    assert "home" not in document.text
    assert "©" not in document.text


@pytest.mark.parametrize("lists", ["feeds: [/feed.xml]", "sitemaps: [/sitemap.xml]", "sitemaps: [/sitemaps.xml]"])
def test_links_of_feeds_and_sitemaps(lists: str, tmp_path: Path, site: Site, url: str) -> None:
    bot, settings = bot_of(tmp_path, url, lists)
    assert scrape(bot, settings) == Scraped({"stars": 5}, {"stars": 5})
    assert scrape(bot, settings) == Scraped({"stars": 5}, {"stars": 0})
    site.pages |= made(6)
    assert scrape(bot, settings).new == {"stars": 1}
    assert set(asked(site).values()) == {1}


def test_a_page_with_several_texts(tmp_path: Path, site: Site, url: str) -> None:
    site.pages = {"/articles/1": b"<article><p>Aries: rest.</p><p>Taurus: run.</p><p>Gemini: both.</p></article>"}
    bot, settings = bot_of(tmp_path, url, more=", body: [article], split: '(?m)^(?=Taurus|Gemini)'")
    scrape(bot, settings)
    assert {document.id.rpartition("/")[2]: document.text for document in stored(settings)} == {
        "1#1": "Aries: rest.",
        "1#2": "Taurus: run.",
        "1#3": "Gemini: both.",
    }
    assert scrape(bot, settings).new == {"stars": 0}
    assert asked(site) == {"/articles/1": 1}


def test_a_page_whose_text_changes(tmp_path: Path, site: Site, url: str) -> None:
    site.pages = made(1)
    bot, settings = bot_of(tmp_path, url, more=", refresh: true")
    assert scrape(bot, settings).new == {"stars": 1}
    assert scrape(bot, settings) == Scraped({"stars": 1}, {"stars": 0})
    site.pages["/articles/1"] = ARTICLE.format(n="another", day=3).encode()
    assert scrape(bot, settings).new == {"stars": 1}
    assert asked(site) == {"/articles/1": 3}


FAULTS = {
    "gone": "answers 404 Not Found",
    "locked": "answers 403 Forbidden",
    "broken": "answers 500 Internal Server Error",
    "pdf": "is application/pdf, and not text/html or application/xhtml+xml",
    "pdf as html": "is a PDF, though its server says otherwise",
    "redirect http://10.0.0.1/": "leads to the private address 10.0.0.1; if that is meant, set MYNAH_ALLOW_PRIVATE=",
    "redirect http://localhost:1/": "leads to the private address",
    "redirect file:///etc/passwd": "gives no whole answer",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_page_is_one_line_and_the_rest_goes_on(fault: str, tmp_path: Path, site: Site, url: str) -> None:
    site.faults["/articles/2"] = fault
    bot, settings = bot_of(tmp_path, url)
    scraped = scrape(bot, settings)
    assert scraped.new == {"stars": 4}
    (line,) = told(scraped)
    assert line.startswith((f"{url}/articles/2: ", "http://"))
    assert FAULTS[fault] in line
    assert "\n" not in line
    del site.faults["/articles/2"]
    assert scrape(bot, settings) == Scraped({"stars": 5}, {"stars": 1})
    assert asked(site)["/articles/1"] == 1


def test_a_page_of_200_mb_is_cut_off(tmp_path: Path, site: Site, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(article, "MAX_PAGE", 1 << 20)
    site.faults["/articles/2"] = "huge"
    bot, settings = bot_of(tmp_path, url, more=", body: [article]")
    scraped = scrape(bot, settings)
    assert told(scraped) == [f"{url}/articles/2: is longer than 1 MiB: its end was not read"]
    assert scraped.new == {"stars": 5}
    assert max(len(document.text) for document in stored(settings)) < 1 << 20


def test_a_page_that_never_ends_is_left(tmp_path: Path, site: Site, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    bot, settings = bot_of(tmp_path, url)
    scrape(bot, settings)
    site.pages |= made(6)
    site.faults["/articles/6"] = "endless"
    monkeypatch.setattr(fetching, "MAX_SECONDS", 1)
    assert told(scrape(bot, settings)) == [f"{url}/articles/6: did not come within 1 s"]


@pytest.mark.parametrize("fault", ["busy once", "down once", "wrong charset"])
def test_what_passes_costs_nothing(fault: str, tmp_path: Path, site: Site, url: str) -> None:
    site.faults["/articles/2"] = fault
    bot, settings = bot_of(tmp_path, url)
    assert scrape(bot, settings) == Scraped({"stars": 5}, {"stars": 5})
    assert all("— so go out" in document.text for document in stored(settings))


def test_a_host_that_is_busy_is_left_alone_until_the_next_scrape(tmp_path: Path, site: Site, url: str) -> None:
    site.faults["/articles/2"] = "busy"
    bot, settings = bot_of(tmp_path, url)
    scraped = scrape(bot, settings)
    assert scraped.new == {"stars": 1}
    assert told(scraped) == [
        f"{url}/articles/2: answers 429 Too Many Requests; its host is left alone until the next scrape; "
        "3 more addresses of it were passed over"
    ]
    scraped = scrape(bot, settings)  # what failed comes last now, so that it keeps nothing from being read
    assert scraped.new == {"stars": 3}
    assert site.asked[-1] == "/articles/2"


def test_a_host_that_fails_again_and_again_is_left_alone(tmp_path: Path, site: Site, url: str) -> None:
    site.faults |= dict.fromkeys([*site.pages][:4], "broken")
    scraped = scrape(*bot_of(tmp_path, url))
    assert len(told(scraped)) == crawl.FAILURES
    assert "2 more addresses of it were passed over" in told(scraped)[-1]


def test_what_robots_txt_forbids_is_told_once(tmp_path: Path, site: Site, url: str) -> None:
    site.robots = "User-agent: *\nDisallow: /\n\nUser-agent: mynah\nDisallow: /articles/1\nDisallow: /articles/3\n"
    scraped = scrape(*bot_of(tmp_path, url))
    assert scraped.new == {"stars": 3}
    host = url.removeprefix("http://")
    assert told(scraped) == [f"{host}: its robots.txt forbids 2 of its pages, such as {url}/articles/1"]
    assert "/articles/1" not in asked(site)


@pytest.mark.parametrize(
    ("fault", "wanted"),
    [
        ("broken", "/robots.txt: answers 500 Internal Server Error; until it can be read, nothing of that host is"),
        ("busy", "/robots.txt: answers 429 Too Many Requests; until it can be read, nothing of that host is asked"),
        ("locked", ""),
    ],
)
def test_without_a_robots_txt_that_can_be_read_nothing_is_asked(
    fault: str, wanted: str, tmp_path: Path, site: Site, url: str
) -> None:
    site.faults["/robots.txt"] = fault
    scraped = scrape(*bot_of(tmp_path, url))
    assert site.asked.count("/robots.txt") == 1
    if wanted:
        assert scraped.failed["stars"].startswith(f"{url}{wanted}")
        assert site.asked == ["/robots.txt"]
    else:  # 403 means that there is none (RFC 9309, 2.3.1.3)
        assert scraped.new == {"stars": 5}


def test_a_list_that_cannot_be_read_does_not_keep_the_others_from_being_read(
    tmp_path: Path, site: Site, url: str
) -> None:
    bot, settings = bot_of(tmp_path, url, "pages: [/none, /]")
    scraped = scrape(bot, settings)
    assert scraped.new == {"stars": 5}
    assert told(scraped) == [f"{url}/none: answers 404 Not Found"]
    assert scrape(*bot_of(tmp_path, url, "pages: [/none]")).failed == {"stars": f"{url}/none: answers 404 Not Found"}


@pytest.mark.parametrize(
    ("lists", "wanted"), [("feeds: [/]", "is no RSS or Atom feed"), ("sitemaps: [/]", "is no sit")]
)
def test_a_list_of_another_kind_is_one_line(lists: str, wanted: str, tmp_path: Path, site: Site, url: str) -> None:
    assert wanted in scrape(*bot_of(tmp_path, url, lists)).failed["stars"]


def test_an_index_page_without_links_is_told(tmp_path: Path, site: Site, url: str) -> None:
    bot, settings = bot_of(tmp_path, url)
    scrape(bot, settings)
    pages, site.pages = site.pages, {}
    wanted = [f"{url}/: used to give 5 links, and now gives none: has the site changed?"]
    assert told(scrape(bot, settings)) == wanted
    assert told(scrape(bot, settings)) == wanted  # until it does
    site.pages = pages
    assert told(scrape(bot, settings)) == []
    rules = bot_of(tmp_path, url, more=", include: ['/horoscopes/']")
    assert told(scrape(*rules)) == [f"{url}/: gives no link that include, exclude and hosts let through, of 5 on it"]


def test_a_page_without_an_article_is_asked_for_again(tmp_path: Path, site: Site, url: str) -> None:
    site.pages["/articles/2"] = b"<html><body><video src=a></video></body></html>"
    bot, settings = bot_of(tmp_path, url)
    assert told(scrape(bot, settings)) == [f"{url}/articles/2: holds no article that looks like one"]
    assert told(scrape(*bot_of(tmp_path, url, more=", body: [article]"))) == [
        f"{url}/articles/2: holds no article in the elements that body and pieces name"
    ]


def test_links_are_taken_in_turn_up_to_the_limit(tmp_path: Path, site: Site, url: str) -> None:
    site.pages |= made(*range(6, 21))
    bot, settings = bot_of(tmp_path, url, more=", limit: 4, exclude: ['/[2]$']")
    assert scrape(bot, settings) == Scraped({"stars": 4}, {"stars": 4})
    assert [*asked(site)] == [f"/articles/{n}" for n in (1, 3, 4, 5)]
    del site.pages["/articles/1"]
    assert scrape(bot, settings) == Scraped({"stars": 4}, {"stars": 1})


def test_the_cursor_stays_small(tmp_path: Path, site: Site, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(article, "BATCH", 1)
    site.pages = made(*range(60))
    bot, settings = bot_of(tmp_path, url, more=", body: [article]")
    scrape(bot, settings)
    assert len(json.dumps(Raw(settings.bucket, "demo", "stars", "article").cursor())) < 250


def test_a_redirect_to_another_host_is_refused_unless_it_is_named(tmp_path: Path, site: Site, url: str) -> None:
    with app_served(application(Site(made(9)))) as other:
        there = other.replace("127.0.0.1", "localhost")
        site.faults["/articles/2"] = f"redirect {there}/articles/9"
        bot, _ = bot_of(tmp_path, url)
        allowed = Settings.read(environment(tmp_path) | {"MYNAH_ALLOW_PRIVATE": "127.0.0.1,localhost"})
        assert told(scrape(bot, allowed)) == [
            f"{url}/articles/2: leads to another host: name localhost in hosts, if that is meant"
        ]
        bot, _ = bot_of(tmp_path, url, more=", hosts: [localhost]")
        assert scrape(bot, allowed) == Scraped({"stars": 5}, {"stars": 1})


def test_a_selector_with_a_typo_is_refused_when_the_bot_file_is_read(tmp_path: Path) -> None:
    for key, value, wanted in (
        ("body", "[div..text]", "no CSS selector"),
        ("pieces", "['p[']", "no CSS selector"),
        ("include", "['(']", "no regular expression"),
        ("split", "'['", "no regular expression"),
    ):
        with pytest.raises(UsageError, match=rf"demo\.yaml:1: bots\.demo\.sources\.stars\.{key}.*{wanted}"):
            bot_of(tmp_path, "http://site.example", more=f", {key}: {value}")


def test_the_verb(tmp_path: Path, site: Site, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    site.faults["/articles/2"] = "gone"
    bot_of(tmp_path, url)
    done = CliRunner().invoke(verb, [str(tmp_path / "demo.yaml")], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.stdout == "stars: 4 documents, 4 new, 1 problem\n"
    assert f"bot demo, source stars: {url}/articles/2: answers 404 Not Found" in done.stderr.splitlines()


def test_saved_pages_of_real_sites(shared: Path, tmp_path: Path, site: Site, url: str) -> None:
    site.pages = dict([*pages_of(shared / "data/articles/html").items()][:12])
    gold = json.loads((shared / "data/articles/ground-truth.json").read_text())
    bot, settings = bot_of(tmp_path, url)
    assert scrape(bot, settings) == Scraped({"stars": 12}, {"stars": 12})
    for document in stored(settings):
        wanted = gold[document.id.rpartition("/")[2].removesuffix(".html")]["articleBody"].split()
        found = set(document.text.split())
        assert sum(word in found for word in wanted) > 0.8 * len(wanted), document.id


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> int:
    """How many calls a scrape of 40 articles takes."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with app_served(application(Site(made(*range(40))))) as url:
        bot_of(folder, url, more=", body: [article]")
        return int(killed(folder / "demo.yaml", environment(folder)).stdout)


@pytest.mark.slow
@pytest.mark.parametrize("number", rounds(5))
def test_killed_at_any_moment_it_ends_as_if_undisturbed(
    number: int, tmp_path: Path, site: Site, url: str, calls: int
) -> None:
    """Kills at random calls; meanwhile there are new articles. No article that is kept is asked for twice."""
    chance = random.Random(number)
    bot, settings = bot_of(tmp_path, url, more=", body: [article]")
    kept: set[str] = set()
    for last in (40, 42, 44):
        site.pages = made(*range(last))
        was_killed(tmp_path / "demo.yaml", environment(tmp_path), chance.randrange(calls // 4, calls))
        again = kept.intersection(f"{url}{path}" for path in site.asked)
        assert not again
        kept = {document.id for document in stored(settings)}
        site.asked.clear()
    scrape(bot, settings)
    assert not kept.intersection(f"{url}{path}" for path in site.asked)
    assert Counter(document.id for document in stored(settings)) == Counter(f"{url}{path}" for path in site.pages)
