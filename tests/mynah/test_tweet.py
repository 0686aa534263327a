import itertools
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from mynah.rules import refused_by_x
from mynah.tweet import mentions, url_spans, urls, weight

FAMILY = "👨‍👩‍👧‍👦"
NO_DOT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="."))


@pytest.mark.parametrize(
    ("text", "heavy"),
    [
        ("", 0),
        ("plain", 5),
        ("żółw ą", 6),
        ("e\u0301", 1),  # NFC: é
        ("\u1100\u1161", 2),  # NFC: one Hangul syllable
        ("\ufb2c", 3),  # NFC makes three of this one
        ("漢字", 4),
        ("“quoted” – dash…", 17),  # the ellipsis is heavy, the quotes and the dash are not
        ("\u10ff\u1100", 3),  # the last light code point and the first heavy one
        ("\u200d\u200e\u2010\u201f\u2020\u2031\u2032\u2037\u2038", 1 + 2 + 1 + 1 + 2 + 2 + 1 + 1 + 2),
        ("😀", 2),
        ("☺", 2),
        ("☺\ufe0f", 2),
        ("☺\ufe0e", 4),  # told to be a plain character
        (FAMILY, 2),
        (FAMILY * 3 + "x", 7),
        ("👍🏽", 2),
        ("☝\ufe0f🏽", 2),
        ("👾🏽", 4),  # takes no skin tone
        ("👩🏽‍❤️‍💋‍👨🏿", 2),
        ("🇵🇱🇩🇪", 4),
        ("🇵🇱🇩", 4),
        ("🏴\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f", 2),
        ("1\ufe0f\u20e3#\u20e3", 4),
        ("1#*", 3),
        ("© ®", 3),
        ("©\ufe0f™", 4),
        ("\u2066\u202aab\u202c", 8),
        ("https://example.com/a/long/path?with=a&query=too#and-more", 23),
        ("see example.com.", 4 + 23 + 1),
        ("http://a.pl http://b.pl", 47),
        ("😀 example.com 漢", 2 + 1 + 23 + 1 + 2),
        ("x" * 64 + ".com", 68),  # a label longer than 63
        ("http://" + "あ" * 57 + ".com", 23),
        ("http://" + "あ" * 67 + ".com", 7 + 134 + 4),  # too long in punycode
    ],
)
def test_weight(text: str, heavy: int) -> None:
    assert weight(text) == heavy


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("nothing. here, 3.14 and e.g. this...and", []),
        ("https://www.example.com:8080/a_(b_(c))/d?e=f#g.", ["https://www.example.com:8080/a_(b_(c))/d?e=f#g"]),
        ("(http://example.com/), then", ["http://example.com/"]),
        ("HTTP://EXAMPLE.COM", ["HTTP://EXAMPLE.COM"]),
        ("foo.jp it.so README.md end.So", ["foo.jp", "it.so", "README.md", "end.So"]),
        ("www.foo.co.uk foo.baz foo.comm http://no-tld", ["www.foo.co.uk"]),
        ("tar.bz2 john.doe@mail.com john.doe.gov@mail.com", []),
        ("#test.com @test.com $TVI.CA #http://test.com", []),
        ("-foo.com _foo.com /foo.com http://_foo.com", []),
        ("http://sub_domain-dash.twitter.com http://twitter_underscore.com", ["http://sub_domain-dash.twitter.com"]),
        ("http://example.com-that-lacks-a-space", []),
        ("日本語example.com/x中国語t.co/abcde한국", ["example.com/x", "t.co/abcde"]),
        ("http://foobar.みんな/ http://☃.net/ ☃.net", ["http://foobar.みんな/", "http://☃.net/"]),
        ("http://xn--ls8h.XN--ls8h.la/ ELPAÍS.com", ["http://xn--ls8h.XN--ls8h.la/", "ELPAÍS.com"]),
        ("https://t.co/abc123's https://t.co/abc-", ["https://t.co/abc123", "https://t.co/abc"]),
        ("https://t.co/" + "a" * 41, []),
        ("foo.com?a=b foo.com/?a=b", ["foo.com", "foo.com/?a=b"]),
        ("http://example.com/,,,,,!!!!", ["http://example.com/"]),
        ("http://example.com/Русские_слова", ["http://example.com/Русские_слова"]),
        ("http://duskgytldkxiuqc6.onion/", ["http://duskgytldkxiuqc6.onion/"]),
        ("http://example.com/" + "a" * 4100, []),
    ],
)
def test_urls(text: str, links: list[str]) -> None:
    assert urls(text) == links


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("hi @jack, and @Jill_2: hello", ["@jack", "@Jill_2"]),
        ("@jack begins", ["@jack"]),
        ("full width ＠jack", ["＠jack"]),
        ("日本@jackの (@jill) /@joe", ["@jack", "@jill", "@joe"]),
        ("RT@jack rt:@jill", ["@jack", "@jill"]),
        ("start@jack xrt@jack me@home.org !@jack #@jack @@jack", []),
        ("@jack@example.com @jack＠ @jáck @a://b", []),
        ("@é @ @-", []),
        ("@abcdefghijklmnopqrstuvwxyz", ["@abcdefghijklmnopqrst"]),
        ("see medium.com/@jack/post", []),
        ("no name here", []),
    ],
)
def test_mentions(text: str, names: list[str]) -> None:
    assert mentions(text) == names


def test_conformance(shared: Path) -> None:
    tests = yaml.safe_load((shared / "data/twitter-text/validate.yml").read_text(encoding="utf-8"))["tests"]
    # The first group is counted without the rule for emoji; where the second has the same case, that one holds.
    cases = {case["description"]: case for case in tests["WeightedTweetsCounterTest"]}
    cases |= {case["description"]: case for case in tests["WeightedTweetsWithDiscountedEmojiCounterTest"]}
    cases |= {case["description"]: case for case in tests["UnicodeDirectionalMarkerCounterTest"]}
    assert len(cases) > 25
    for description, case in cases.items():
        expected = case["expected"]
        assert weight(case["text"]) == expected["weightedLength"], description
        assert (refused_by_x(case["text"]) is None) == expected["valid"], description


@given(st.text(st.characters(max_codepoint=127, exclude_characters=".")))
def test_plain_ascii_weighs_its_length(text: str) -> None:
    assert weight(text) == len(text)


@given(st.text())
def test_normal_forms_weigh_the_same(text: str) -> None:
    assert weight(text) == weight(unicodedata.normalize("NFD", text)) == weight(unicodedata.normalize("NFC", text))


@given(NO_DOT, NO_DOT)
def test_weights_add_up(left: str, right: str) -> None:
    assert weight(f"{left} {right}") == weight(left) + 1 + weight(right)


@given(NO_DOT, NO_DOT)
def test_a_link_weighs_23_wherever_it_stands(left: str, right: str) -> None:
    text = f"{left} https://example.com {right}"
    assert weight(text) == weight(left) + 1 + 23 + 1 + weight(right)
    assert urls(text) == ["https://example.com"]


@given(st.lists(st.sampled_from([*"ab1.-_/:@#?()é漢😀 ", "http://", "a.com", "t.co/x", "xn--"])).map("".join))
def test_links_lie_apart_and_in_order(text: str) -> None:
    text = unicodedata.normalize("NFC", text)
    spans = list(url_spans(text))
    assert all(0 <= start < end <= len(text) for start, end in spans)
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert all("." in text[start:end] and not set(text[start:end]) & set(" 😀") for start, end in spans)
    assert weight(text) <= 23 * len(spans) + 2 * (len(text) - sum(end - start for start, end in spans))


def test_long_texts_end() -> None:
    for text in (
        "x" * 20000 + ".y",
        "漢" * 9000 + "." + "字" * 9000,
        "a." * 9000,
        "a-" * 9000 + ".",
        "http://a.pl/" + "(a" * 9000,
    ):
        assert weight(text) > 0  # without the limits in the patterns, some of these take hours


def test_the_list_of_domains_is_not_read_before_it_is_needed() -> None:
    program = "import sys, mynah.tweet as t; t.weight('no dot'); sys.exit('publicsuffixlist' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program]).returncode == 0
