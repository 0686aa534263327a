"""The judge of generated texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.bot import Judge
from mynah.rules import Copied, judge

TRAINING = ["The early bird catches the worm but the second mouse gets the cheese.", "A closed mouth gathers no foot."]
COPIED = Copied(TRAINING)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Never trust a computer you cannot throw out of a window.", None),
        ("", "unfinished"),
        ("Too short.", "2 words, fewer than 5"),
        ("go go go go go go go go", "repeats itself"),
        ("Read all about it at https://example.com today", "contains a link"),
        ("I would like to thank @jack for this", "mentions an account"),
        ("a closed mouth gathers NO foot", "copied: 100%"),
        ("They say the early bird catches the worm but the second mouse sleeps.", "copied"),
    ],
)
def test_each_rejection_has_its_reason(text: str, reason: str | None) -> None:
    verdict = judge(text, Judge(), COPIED, weight=len(text))
    assert verdict.reason is None if reason is None else (verdict.reason or "").startswith(reason)


def test_a_long_text_is_rejected_by_its_weight() -> None:
    reason = judge("Some words that are quite long enough.", Judge(), COPIED, weight=281).reason
    assert reason == "weighs 281 characters, more than 280"


def test_rules_can_be_loosened() -> None:
    rules = Judge(min_words=1, min_variety=0, max_copied=1, allow_links=True, allow_mentions=True)
    for text in (*TRAINING, "go go go", "https://x.y", "@a"):
        assert judge(text, rules, COPIED, weight=20).reason is None


@given(st.text(max_size=200))
def test_scores_lie_between_zero_and_one(text: str) -> None:
    verdict = judge(text, Judge(), COPIED, weight=10)
    assert 0 <= verdict.score <= 1
    assert all(0 <= part <= 1 for part in verdict.scores.values())


@given(st.sampled_from(TRAINING), st.sampled_from([str.upper, str.lower, str.title]))
def test_a_training_text_is_known_whatever_its_case(text: str, change: object) -> None:
    assert COPIED.share(change(text)) == 1.0  # type: ignore[operator]
