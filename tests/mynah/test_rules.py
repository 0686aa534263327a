"""The judge of generated texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.bot import Judge
from mynah.errors import UsageError
from mynah.recitation import Copied
from mynah.rules import Near, judge, may_post, refused_by_x

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
        ("He said no no no no to all of it", "repetitive: it says “no” more than 3 times in a row"),
        (
            "We win and win and win and win and win for all of our great people here",
            "repetitive: it says “win and” more than 3 times in a row",
        ),
        (
            "Never trust a computer, you stupid motherfucker",
            "toxic: toxicity 0.86 (motherfucker, stupid), not below 0.75",
        ),
        ("Никогда не верь компьютеру, сука ты такая", "toxic: toxicity 0.80 (сука), not below 0.75"),
        ("A mark of\ufeff byte order is not taken.", "character: it contains the character U+FEFF"),
    ],
)
def test_each_rejection_has_its_code_and_words(text: str, reason: str) -> None:
    rejection = judge(text, Judge(), COPIED).rejection
    assert rejection
    assert rejection.reason.startswith(reason)


@pytest.mark.parametrize(
    ("text", "rules", "reason"),
    [
        (
            "Say it with #one #two #three tags",
            {"allow_hashtags": 2},
            "hashtag: it has 3 #tags, and judge.allow_hashtags",
        ),
        ("Das Wetter ist heute wirklich sehr schön", {"languages": ["en", "ru"]}, "language: it is not in en or ru"),
        (
            "Но the early bird catches the worm but not you, не так ли это",
            {"max_copied_words": 6},
            "copied: 7 words in a",
        ),
    ],
)
def test_rules_that_are_asked_for(text: str, rules: dict[str, object], reason: str) -> None:
    assert judge(text, Judge(), COPIED).rejection is None
    rejection = judge(text, Judge.model_validate(rules), COPIED).rejection
    assert rejection
    assert rejection.reason.startswith(reason)


def test_all_that_is_broken_is_told_the_first_first() -> None:
    verdict = judge("Go go go go, see example.com @jack #now", Judge(allow_hashtags=0, min_words=12), COPIED)
    assert [each.code for each in verdict.rejections] == ["short", "link", "mention", "hashtag", "repetitive"]
    assert verdict.rejection == verdict.rejections[0]
    assert [each.code for each in judge("", Judge(), COPIED).rejections] == ["unfinished"]


def test_what_is_near_an_earlier_tweet_or_like_a_training_text() -> None:
    near = Near(7, "jokes", "x", 0.8)
    text = "Never trust a computer you cannot throw out of a window."
    rejection = judge(text, Judge(), COPIED, near).rejection
    assert rejection
    assert rejection.reason == "similar: 80% of it is tweet 7 of jokes"
    assert judge(text, Judge(max_similarity=0.9), COPIED, near).rejection is None
    like = Copied(COPIED.whole, COPIED.runs, lambda text: 0.6)
    assert [each.words for each in judge(text, Judge(), like).rejections] == [
        "it is like a training text: 60% is the same"
    ]


def test_a_text_is_as_long_as_its_accounts_take() -> None:
    text = f"{' '.join(map(str, range(75)))}."
    rules = Judge(max_weight=500, min_variety=0)
    assert judge(text * 2, rules, COPIED, accounts=["x", "mastodon"]).rejection is None
    rejection = judge(text * 2, rules, COPIED, accounts=["x", "bluesky"]).rejection
    assert rejection
    assert rejection.reason == "long: it has 430 characters, and Bluesky takes 300"
    assert judge(text, rules, COPIED, accounts=["bluesky"]).rejection is None


def test_languages_turn_lists_of_words_off_and_words_are_allowed() -> None:
    text = "Never trust a bitch you cannot throw out."
    assert judge(text, Judge(), COPIED).rejection
    for rules in ({"languages": ["en"], "max_toxicity": {"ru": 0.5}}, {"max_toxicity": {}}, {"allow_words": ["Bitch"]}):
        assert judge(text, Judge.model_validate(rules), COPIED).rejection is None


def test_a_language_that_cannot_be_told_is_named_with_its_key() -> None:
    with pytest.raises(UsageError, match="judge.languages: xx cannot be told from other languages"):
        judge("Never trust a computer you cannot throw out.", Judge(languages=["xx"]), COPIED)


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
