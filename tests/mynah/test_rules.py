"""The judge of generated texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.bot import Judge
from mynah.recitation import Copied
from mynah.rules import judge, may_post, refused_by_x

FAMILY = "👨‍👩‍👧‍👦"
TRAINING = ["The early bird catches the worm but the second mouse gets the cheese.", "A closed mouth gathers no foot."]
COPIED = Copied.of(TRAINING)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "unfinished: no whole sentence"),
        ("Too short.", "short: 2 words, fewer than 5"),
        ("go go go go go go go go", "repetitive: it repeats itself: variety 0.12, below 0.5"),
        ("Read all about it at https://example.com today", "link: it contains a link (https://example.com), and judge"),
        ("Read all about it at example.com today", "link: it contains a link (example.com), and judge.allow_links"),
        ("I would like to thank @jack for this", "mention: it mentions an account (@jack), and judge.allow_mentions"),
        ("I would like to thank ＠jack for this", "mention: it mentions an account (＠jack), and judge.allow_mentions"),
        ("a closed mouth gathers NO foot", "copied: 100% of it stands in the training texts"),
        ("They say the early bird catches the worm but the second mouse sleeps.", "copied: "),
        ("One two three four five" + " ever" * 60, "long: it weighs 323 of at most 280 weighted characters"),
        ("A mark of\ufeff byte order is not taken.", "character: it contains the character U+FEFF"),
    ],
)
def test_each_rejection_has_its_code_and_words(text: str, reason: str) -> None:
    rejection = judge(text, Judge(), COPIED).rejection
    assert rejection
    assert rejection.reason.startswith(reason)


def test_a_good_text_is_not_rejected() -> None:
    assert judge("Never trust a computer you cannot throw out of a window.", Judge(), COPIED).rejection is None


def test_what_a_judge_asks_is_not_asked_of_a_person() -> None:
    for text in ("Too short.", "go go go go go go go go", *TRAINING):
        assert judge(text, Judge(), COPIED).rejection
        assert may_post(text, Judge()) is None


def test_rules_can_be_loosened() -> None:
    rules = Judge(min_words=1, min_variety=0, max_copied=1, allow_links=True, allow_mentions=True)
    for text in (*TRAINING, "go go go", "https://x.y", "@a"):
        assert judge(text, rules, COPIED).rejection is None


@given(st.text(max_size=200))
def test_scores_lie_between_zero_and_one(text: str) -> None:
    verdict = judge(text, Judge(), COPIED)
    assert 0 <= verdict.score <= 1
    assert all(0 <= part <= 1 for part in verdict.scores.values())


@given(st.sampled_from(TRAINING), st.sampled_from([str.upper, str.lower, str.title]))
def test_a_training_text_is_known_whatever_its_case(text: str, change: object) -> None:
    assert COPIED.share(change(text)) == 1.0  # type: ignore[operator]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        (" \n\t\u3000", "empty"),
        ("\u200b\u200d", "empty"),
        ("x" * 281, "281 of at most 280"),
        ("漢" * 141, "282 of at most 280"),
        ("a\ufeffb", "U+FEFF"),
        ("a\uffff", "U+FFFF"),
        ("a\ufffe", "U+FFFE"),
        ("a\0b", "U+0000"),
        ("a\ud800b", "U+D800"),
    ],
)
def test_what_x_refuses(text: str, why: str) -> None:
    rejection = refused_by_x(text)
    assert rejection
    assert why in rejection.words


def test_what_x_takes() -> None:
    assert refused_by_x("x" * 280) is None
    assert refused_by_x(FAMILY * 140) is None
    assert refused_by_x("x" * 281, max_weight=281) is None
    assert refused_by_x("a\u202ab") is None
