"""What curators like: learned from decisions, and measured on those held out."""

import random

import pytest

from mynah.liking import LEAST, auc, learn

BIRDS = ("owl", "crow", "wren", "duck", "kite", "swan", "rook", "gull", "hawk", "dove", "lark", "teal")


def texts(count: int) -> list[str]:
    draw = random.Random(1)
    return [
        f"The {draw.choice(BIRDS)} {draw.choice(['saw', 'met', 'fed'])} a {draw.choice(BIRDS)} {number}{end}"
        for number, end in zip(range(count), draw.choices(["?", "."], k=count), strict=True)
    ]


def test_what_they_like_comes_first() -> None:
    decided, others = texts(160)[:80], texts(160)[80:]
    for likes in (lambda text: "?" in text, lambda text: "swan" in text or "crow" in text):
        learned = learn(decided, [likes(text) for text in decided])
        assert learned
        scores = learned.scores(others)
        assert all(0 <= score <= 1 for score in scores)
        assert auc(scores, [likes(text) for text in others]) > 0.9
        assert learned.auc > 0.8


def test_nothing_is_learned_from_too_little_or_from_chance() -> None:
    decided = texts(100)
    assert learn(decided, [True] * 81 + [False] * (LEAST - 1)) is None
    draw = random.Random(2)
    learned = learn(decided, [draw.random() < 0.5 for _ in decided])
    assert learned
    assert 0.3 < learned.auc < 0.7
    assert learned.scores([]) == []


@pytest.mark.parametrize(
    ("scores", "share"), [([3, 2, 1, 0], 1.0), ([0, 1, 2, 3], 0.0), ([1, 1, 1, 1], 0.5), ([3, 1, 2, 0], 0.75)]
)
def test_auc(scores: list[float], share: float) -> None:
    assert auc(scores, [True, True, False, False]) == share
