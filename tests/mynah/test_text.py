"""Text rules."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.bot import Clean
from mynah.document import Document
from mynah.text import clean_generated, clean_scraped, fold_spaces, same_text_key, words


def cleaned(text: str, likes: int | None = None, **rules: Any) -> tuple[str, str | None]:
    document = Document(id="1", text=text, numbers={} if likes is None else {"likes": likes})
    return clean_scraped(document, Clean(**{"min_words": 1, **rules}))


@pytest.mark.parametrize(
    ("text", "rules", "wanted"),
    [
        ("a  b\n\tc", {}, "a b c"),
        ("one\n\n two ", {"newlines": "keep"}, "one\ntwo"),
        ("one\u2028two", {"newlines": "keep"}, "one\ntwo"),
        ("by me\u2028one", {"drop_lines": ["by me"]}, "one"),
        ("Tom &amp; Jerry love amp", {}, "Tom & Jerry love amp"),
        ("see https://t.co/uRx?x=1 and pic.twitter.com/ab now", {}, "see and now"),
        ("keep https://x.y", {"strip_links": False}, "keep https://x.y"),
        ("hi @jack_1, mail me@home.org", {"strip_mentions": True}, "hi , mail me@home.org"),
        ("so #blessed a#b", {"strip_hashtags": True}, "so a#b"),
        ("“quoted” – it’s café 😀", {"ascii_only": True}, '"quoted" - it\'s caf'),
        ("БУГУРТ-ТРЕД\nПРИШЁЛ ДОМОЙ\nhttps://t.me/x", {"drop_lines": ["БУГУРТ-ТРЕД", "https"]}, "ПРИШЁЛ ДОМОЙ"),
        ("e\u0301tude", {}, "étude"),
    ],
)
def test_scraped_texts_are_cleaned(text: str, rules: dict[str, Any], wanted: str) -> None:
    assert cleaned(text, **rules) == (wanted, None)


@pytest.mark.parametrize(
    ("text", "likes", "rules", "reason"),
    [
        ("RT @a: hello", None, {}, "retweet"),
        ("@you no", None, {"drop_replies": True}, "reply"),
        ("https://x.y look", None, {"drop_leading_link": True}, "begins with a link"),
        ("good", 3, {"min_likes": 20}, "too few likes"),
        ("good", 0, {"min_likes": 1}, "too few likes"),
        ("two words", None, {"min_words": 3}, "too few words"),
        ("now three words", None, {"max_words": 2}, "too many words"),
        ("https://only.a/link", None, {}, "too few words"),
    ],
)
def test_documents_are_left_out_for_a_reason(text: str, likes: int | None, rules: dict[str, Any], reason: str) -> None:
    assert cleaned(text, likes, **rules) == ("", reason)


def test_a_repost_is_left_out_for_its_mark() -> None:
    document = Document(id="1", text="three good words", repost=True)
    assert clean_scraped(document, Clean()) == ("", "retweet")
    assert clean_scraped(document, Clean(drop_retweets=False)) == ("three good words", None)


def test_unknown_likes_are_not_few_likes() -> None:
    assert cleaned("good", None, min_likes=20) == ("good", None)


@pytest.mark.parametrize(
    ("text", "finished", "wanted"),
    [
        ("Whole. And then", False, "Whole."),
        ("Whole. And then", True, "Whole. And then"),
        ("no end at all", False, ""),
        ("Ask Dr. Smith about it", False, ""),
        ("Was it J. Smith? He said", False, "Was it J. Smith?"),
        ('"All of it."', True, "All of it."),
        ('"One" and "two"', True, '"One" and "two"'),
        ("«Всё хорошо».\nА потом", False, "«Всё хорошо»."),
        ('He said "go!" and', False, 'He said "go!"'),
        ("Version 3.5 is", False, ""),
    ],
)
def test_generated_texts_end_where_a_sentence_ends(text: str, finished: bool, wanted: str) -> None:
    assert clean_generated(text, finished) == wanted


TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=80)


@given(TEXT)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    once, reason = cleaned(text)
    if reason is None:
        # Removing a link can join what stood round it into a new one, and an entity can hide another.
        assert fold_spaces(once) == once
        assert len(words(once)) >= 1


@given(TEXT, st.booleans())
def test_a_generated_text_only_ever_shrinks(text: str, finished: bool) -> None:
    shorter = clean_generated(text, finished)
    assert shorter == " ".join(shorter.split())
    assert len(words(shorter)) <= len(words(text)) or not text.isascii()
    if not finished and shorter:
        assert any(mark in shorter for mark in ".!?…")


@given(TEXT)
def test_the_same_text_key_ignores_case_space_and_punctuation(text: str) -> None:
    assert same_text_key(text) == same_text_key(f"  {text}\n")
    if text.isascii() and words(text):
        assert same_text_key(text) == same_text_key(text.upper()) == same_text_key(text + "!")
