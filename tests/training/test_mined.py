"""Prompts from the corpus."""

from hypothesis import given
from hypothesis import strategies as st

from training.mined import MOST, mine

CORPUS = [
    *(
        f"When I was {age}, nobody told me about the black hole of {thing}."
        for age in "abcdef"
        for thing in ("tax", "love")
    ),
    *(f"why did the {who} cross the road? To meet a black hole" for who in ("hen", "fox", "owl", "cat", "dog", "cow")),
    *(f"Nothing about number {n} repeats itself" for n in range(400)),
]


def test_common_openings_and_phrases_are_ranked_and_near_ones_folded() -> None:
    prompts = mine(CORPUS)
    assert prompts[0] == "Nothing about number"
    assert any("black hole" in prompt for prompt in prompts)
    assert any(prompt.startswith("When I was") for prompt in prompts)
    assert any(prompt.startswith("why did the") for prompt in prompts)
    small = [prompt.lower() for prompt in prompts]
    assert not any(one in other for one in small for other in small if one is not other)
    assert mine(CORPUS[::-1]) == prompts, "the order of the texts does not matter"


def test_what_is_seldom_is_no_prompt() -> None:
    assert mine(["one of a kind", "quite another thing"]) == []
    assert mine([]) == []


@given(st.lists(st.text("ab .\n", max_size=12), max_size=30))
def test_a_prompt_stands_in_the_texts_it_was_mined_from(texts: list[str]) -> None:
    prompts = mine(texts)
    assert len(prompts) <= MOST
    for prompt in prompts:
        assert sum(prompt.lower() in text.lower() for text in texts) >= 3
        assert "." not in prompt
