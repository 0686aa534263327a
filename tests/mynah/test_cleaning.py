"""The rules that make training texts of scraped documents."""

import unicodedata
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mynah.bot import Clean
from mynah.cleaning import ASCII, RULES, Change, Cleaned, cleaning, keys
from mynah.document import Document
from mynah.errors import UsageError
from mynah.text import WORD


def clean(text: str, likes: int | None = None, author: str | None = None, **rules: Any) -> Cleaned:
    numbers: dict[str, int | float] = {} if likes is None else {"likes": likes}
    return cleaning(Clean(**{"min_words": 1, **rules}))(Document(id="1", text=text, author=author, numbers=numbers))


@pytest.mark.parametrize(
    ("text", "rules", "wanted"),
    [
        ("a  b\n\tc", {}, "a b c"),
        ("one\n\n two ", {"newlines": "keep"}, "one\ntwo"),
        ("one\u2028two", {"newlines": "keep"}, "one\ntwo"),
        ("by me\u2028one", {"drop_lines": ["by me"]}, "one"),
        ("Tom &amp; Jerry love amp", {}, "Tom & Jerry love amp"),
        ("a &amp;amp;amp;lt; b &#38;#38;gt c &#385;", {}, "a < b > c Ɓ"),
        ("an &amp;#104;ttps://x.y entity", {}, "an entity"),
        ("see https://t.co/uRx?x=1 and pic.twitter.com/ab now", {}, "see and now"),
        ("keep https://x.y", {"strip_links": False}, "keep https://x.y"),
        ("hi @jack_1, mail me@home.org", {"strip_mentions": True}, "hi , mail me@home.org"),
        ("so @a@b then", {"strip_mentions": True}, "so then"),
        ("so #blessed a#b", {"strip_hashtags": True}, "so a#b"),
        ("“quoted” – it’s café 😀", {"ascii_only": True}, '"quoted" - it\'s caf'),
        ("БУГУРТ-ТРЕД\nПРИШЁЛ ДОМОЙ\nhttps://t.me/x", {"drop_lines": ["БУГУРТ-ТРЕД", "https"]}, "ПРИШЁЛ ДОМОЙ"),
        ("Well.\nFollow her on X\nfollow me", {"drop_lines_matching": ["^Follow (her|him)"]}, "Well. follow me"),
        ("РАССКАЗ: РАССКАЗ: ДОМОЙ", {"strip_headers": ["", "РАССКАЗ:"]}, "ДОМОЙ"),
        ("I❤️NY 👍🏽 7️⃣ 100% ©", {"strip_emoji": True}, "I NY 100% ©"),
        ("Пришёл ДОМОЙ", {"case": "upper"}, "ПРИШЁЛ ДОМОЙ"),
        ("Пришёл ДОМОЙ", {"case": "lower"}, "пришёл домой"),
        ("e\u0301tude", {}, "étude"),
        ("half \ud83d of one", {}, "half of one"),
    ],
)
def test_texts_are_changed(text: str, rules: dict[str, Any], wanted: str) -> None:
    cleaned = clean(text, **rules)
    assert (cleaned.text, cleaned.reason) == (wanted, None)


@pytest.mark.parametrize(
    ("text", "likes", "rules", "reason"),
    [
        ("RT @a: hello", None, {}, "retweet"),
        ("https://x.y RT @a: hello", None, {}, "retweet"),
        ("@you no", None, {"drop_replies": True}, "reply"),
        ("#this @you no", None, {"drop_replies": True, "strip_hashtags": True}, "reply"),
        ("https://x.y look", None, {"drop_leading_link": True}, "begins with a link"),
        ("good", 3, {"min_likes": 20}, "too few likes"),
        ("good", 0, {"min_likes": 1}, "too few likes"),
        ("two words", None, {"min_words": 3}, "too few words"),
        ("now three words", None, {"max_words": 2}, "too many words"),
        ("https://only.a/link", None, {}, "too few words"),
        ("a b c", None, {"min_characters": 6}, "too few characters"),
        ("a b c", None, {"max_characters": 4}, "too many characters"),
        ("STOP IT now", None, {"max_capitals": 0.5}, "shouting"),
        ("Ich habe heute keine Zeit dafür", None, {"languages": ["en", "ru"]}, "another language"),
    ],
)
def test_documents_are_left_out_for_a_reason(text: str, likes: int | None, rules: dict[str, Any], reason: str) -> None:
    cleaned = clean(text, likes, **rules)
    assert (cleaned.text, cleaned.reason) == ("", reason)
    assert cleaned.steps[-1].after is None


def test_what_is_not_known_is_not_held_against_a_document() -> None:
    assert clean("good", None, min_likes=20).reason is None
    assert clean("東京へ行きました", max_capitals=0.1).reason is None
    assert clean("Мы поехали домой", languages=["en", "ru"]).reason is None


def test_a_repost_is_left_out_for_its_mark() -> None:
    document = Document(id="1", text="three good words", repost=True)
    assert cleaning(Clean())(document).reason == "retweet"
    assert cleaning(Clean(drop_retweets=False))(document).text == "three good words"


def test_a_reply_to_oneself_is_a_thread() -> None:
    assert clean("@Ana and then", author="ana", drop_replies=True).reason is None
    assert clean("@Ana and then", author="@ana", drop_replies=True).reason is None
    assert clean("@anatole and then", author="ana", drop_replies=True).reason == "reply"


def test_a_language_that_is_not_known_is_said() -> None:
    with pytest.raises(UsageError, match="clean.languages: xx cannot be told from other languages; known: .*en"):
        clean("hello", languages=["en", "xx"])


def test_entities_without_end_are_given_up() -> None:
    text = "&#53;"  # a 5
    for _ in range(40):
        text = text.replace("5", "&#53;", 1)
    assert clean(f"before {text} after").reason == "never comes to an end of its entities"


def test_rules_stand_in_the_order_of_the_keys() -> None:
    """Every key is a rule's, but for a second key of a rule, and what is about all texts together."""
    others = {"min_language_confidence", "drop_near_duplicates", "near_duplicate_similarity"}
    assert [rule.key for rule in RULES] == [key for key in Clean.model_fields if key not in others]


def test_steps_lead_from_the_document_to_the_text() -> None:
    cleaned = clean("so &amp; so  https://x.y", ascii_only=True)
    assert [*keys(cleaned.steps)] == ["unescape_html", "strip_links", "newlines"]
    assert [step.before for step in cleaned.steps[1:]] == [step.after for step in cleaned.steps[:-1]]
    assert (cleaned.steps[0].before, cleaned.steps[-1].after) == ("so &amp; so  https://x.y", "so & so")


ANY = st.text(alphabet=st.characters(), max_size=40)  # halves of characters too
PIECES = st.sampled_from(
    [
        *("&amp;", "&", "amp;", "#38;", "lt;", "#x26", "&#10;", "&#8232;", "\n", "\u2028", " ", "\t", "-", "'"),
        *("http", "https://", "x.y", "www.", "pic.twitter.com/", "t.co/", "@", "#", "RT @", "tag", "you", "8", "🇩🇪"),
        *(
            "👩‍👧",
            "❤\ufe0f",
            "7\ufe0f\u20e3",
            "ß",
            "ŉ",
            "İ",
            "é",
            "e\u0301",
            "\u0301",
            "БУГУРТ",
            "“",
            "…",
            "\ud83d",
            "\0",
        ),
    ]
)
TEXTS = st.one_of(ANY, st.lists(PIECES, max_size=14).map("".join))
SECTIONS = st.builds(
    Clean,
    **{key: st.booleans() for key, field in Clean.model_fields.items() if field.annotation is bool},
    case=st.sampled_from(["keep", "lower", "upper"]),
    strip_headers=st.sampled_from([[], ["БУГУРТ", "tag"]]),
    min_words=st.integers(1, 3),
    max_words=st.sampled_from([None, 4]),
    min_characters=st.sampled_from([1, 5]),
    max_capitals=st.sampled_from([1.0, 0.4]),
)
LINES = st.sampled_from([{}, {"newlines": "keep", "drop_lines": ["tag"], "drop_lines_matching": ["^you", "8$"]}])


@given(TEXTS, SECTIONS, LINES)
@example("&amp;#38;amp;#10;tag", Clean(min_words=1), {"newlines": "keep", "drop_lines": ["tag"]})
def test_cleaning_a_cleaned_text_changes_nothing(text: str, rules: Clean, lines: dict[str, Any]) -> None:
    clean = cleaning(rules.model_copy(update=lines))
    once = clean(Document(id="1", text=text))
    if once.reason is None:
        assert clean(Document(id="1", text=once.text)) == Cleaned(once.text, None, ())
        once.text.encode()


@given(TEXTS, SECTIONS)
@example("a👍b", Clean(strip_emoji=True, min_words=1))
@example("0HTTP://1", Clean(min_words=1))
@example("0HTTP://0", Clean(min_words=1, strip_links=False))
@example("БУГУРТ0", Clean(min_words=1, strip_headers=["БУГУРТ"]))
def test_cleaning_invents_no_word(text: str, rules: Clean) -> None:
    """Each stands in the document, once its entities are characters and its letters as the section wants them: as a
    word, or as what a removed link or header leaves of one."""
    rules = rules.model_copy(update={"ascii_only": False})
    plain = text
    for _ in range(20):
        plain = _translated(plain, rules)
    plain = plain.replace("’", "'")
    assert [word for word in _words(cleaning(rules)(Document(id="1", text=text)).text) if word not in plain] == []


@given(TEXTS, SECTIONS)
def test_cleaning_to_ascii_only_takes_away(text: str, rules: Clean) -> None:
    rules = rules.model_copy(update={"ascii_only": True, "case": "keep", "unescape_html": False})
    characters = iter(text.translate(ASCII))
    assert all(one in characters for one in cleaning(rules)(Document(id="1", text=text)).text if one != " ")


def _translated(text: str, rules: Clean) -> str:
    """What `clean` may change without taking anything away."""
    text = unicodedata.normalize("NFC", text)
    for rule in RULES:
        if isinstance(rule, Change) and rule.key in ("unescape_html", "case") and (apply := rule.make(rules)):
            text = apply(text)
    return text


def _words(text: str) -> set[str]:
    return {part for word in WORD.findall(text) for part in word.replace("’", "'").replace("-", "'").split("'")}
