"""Coarse words: which are told, in which disguises, and what only looks like one."""

from pathlib import Path

import pytest

from mynah.toxicity import MEASURED, toxicity

NAMES = Path(__file__).with_name("names.txt")


@pytest.mark.parametrize(
    ("text", "language", "word"),
    [
        ("This is bullshit, man.", "en", "bullshit"),
        ("FUUUUCK this", "en", "fuuuuck"),
        ("what the f*ck", "en", "f*ck"),
        ("you b1tch", "en", "b1tch"),
        ("f u c k this", "en", "fuck"),
        ("kill yourself", "en", "kill yourself"),
        ("Какая же сука!", "ru", "сука"),
        ("он совсем о\u0445уел", "ru", "охуел"),
        ("ну и пи\u200bздец", "ru", "пиздец"),
        ("ты cукa", "ru", "cукa"),
        ("иди на х*й", "ru", "х*й"),
        ("Ублюдки, ЗАЕБАЛИ", "ru", "ублюдки"),
    ],
)
def test_coarse_words_are_told_in_their_disguises(text: str, language: str, word: str) -> None:
    found = toxicity(text, [language])
    assert found.toxicity >= MEASURED[language]  # type: ignore[index]
    assert word in found.words


@pytest.mark.parametrize(
    "text",
    [
        "Read https://example.com/fuck by @bitch now",
        "The class assessed the passage on Dick Van Dyke.",
        "Себе хлеба он не потребовал, рубля тоже.",
        "Подстрахуй мудрого Себастьяна Баха.",
        "2 * 2 = 4 *really*",
        "",
    ],
)
def test_what_only_looks_like_one(text: str) -> None:
    assert toxicity(text, ["en", "ru"]).toxicity < 0.5


def test_several_mild_words_add_up() -> None:
    one, two = toxicity("an idiot", ["en"]).toxicity, toxicity("an idiot and a moron", ["en"]).toxicity
    assert (one, two) == (0.5, 0.75)


def test_a_word_may_be_allowed_and_a_language_without_a_list_has_no_filter() -> None:
    assert toxicity("Fucking is a village.", ["en"], ["fucking"]).toxicity == 0
    assert toxicity("Fucking is a village.", ["de", "ru"]).toxicity == 0


def test_names_are_seldom_taken_for_coarse_words() -> None:
    names = [line for line in NAMES.read_text("utf-8").splitlines() if not line.startswith("#")]
    taken = [name for name in names if toxicity(name, ["en", "ru"]).toxicity >= 0.75]
    assert len(names) == len(set(names)) == 200
    assert len(taken) <= 5, taken


@pytest.mark.parametrize(("language", "recall"), [("en", 0.9), ("ru", 0.7)])
def test_it_is_as_good_as_the_docs_say(shared: Path, language: str, recall: float) -> None:
    rows = (shared / f"data/labels/toxicity-{language}.tsv").read_text("utf-8").splitlines()[2::2]
    told = [
        (label not in ("neither", "neutral"), toxicity(text, [language]).toxicity >= MEASURED[language])  # type: ignore[index]
        for label, text in (row.split("\t", 1) for row in rows)
    ]
    right, wrong, missed = told.count((True, True)), told.count((False, True)), told.count((True, False))
    assert right / (right + wrong) > 0.98
    assert right / (right + missed) > recall
