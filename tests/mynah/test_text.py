"""Text rules."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mynah.sentences import whole
from mynah.text import WORD, clean_generated, count_words, same_text_key, words


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
        ("It opens at 9 a.m. on Sundays. But", False, "It opens at 9 a.m. on Sundays."),
        ("Well... maybe not", False, ""),
        ("Wait… What is that", False, "Wait…"),
        ("A great day! 😍😍 And then", False, "A great day! 😍😍"),
        ("So happy 😍 And then", False, "So happy 😍"),
        ("So happy 😍 and then", False, ""),
        ("«Иди!» — сказал он и", False, ""),
        ("Он жил на ул. Ленина в г. Москва. А", False, "Он жил на ул. Ленина в г. Москва."),
        ("Родился А. С. Пушкин и т. д. и т. п. Потом", False, ""),
        ("私は鳥。君は", False, "私は鳥。"),
    ],
)
def test_generated_texts_end_where_a_sentence_ends(text: str, finished: bool, wanted: str) -> None:
    assert clean_generated(text, finished) == wanted


def test_an_unfinished_text_may_be_dropped() -> None:
    assert clean_generated("Whole. And then", False, unfinished="drop") == ""
    assert clean_generated("Whole. And done.", False, unfinished="drop") == "Whole. And done."
    assert clean_generated("Whole. And then", True, unfinished="drop") == "Whole. And then"


def test_a_sign_may_stand_for_a_line_break() -> None:
    assert clean_generated("ИДЁШЬ@ТАМ НИКОГО @ И ТЫ", False, line_break="@") == "ИДЁШЬ\nТАМ НИКОГО"
    assert clean_generated("ИДЁШЬ@ТАМ НИКОГО @ И ТЫ", True, line_break="@") == "ИДЁШЬ\nТАМ НИКОГО\nИ ТЫ"


TEXT = st.text(alphabet=st.characters(codec="utf-8"), max_size=80)


@given(TEXT, st.booleans())
def test_a_generated_text_only_ever_shrinks(text: str, finished: bool) -> None:
    shorter = clean_generated(text, finished)
    assert shorter == " ".join(shorter.split())
    assert len(words(shorter)) <= len(words(text)) or not text.isascii()
    if not finished and shorter:
        assert whole(shorter) == shorter


@given(TEXT)
def test_the_same_text_key_ignores_case_space_and_punctuation(text: str) -> None:
    assert same_text_key(text) == same_text_key(f"  {text}\n")
    if text.isascii() and words(text):
        assert same_text_key(text) == same_text_key(text.upper()) == same_text_key(text + "!")


@given(TEXT)
def test_words_are_lower_cased_one_by_one(text: str) -> None:
    assert words(text) == [word.lower() for word in WORD.findall(text)]
    assert count_words(text) == len(words(text))
    assert words(text.encode("ascii", "ignore").decode()) == [
        word.lower() for word in WORD.findall(text.encode("ascii", "ignore").decode())
    ]
