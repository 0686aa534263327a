"""The current model learns what its curators like."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mynah.bot import Bot
from mynah.bot.prefer import Prefer
from mynah.database import runs
from mynah.database.connection import Connection
from mynah.database.labels import labels
from mynah.database.tweets import NewTweet, add_tweets, decide, edit
from mynah.errors import MynahError
from mynah.evaluations import evaluation
from mynah.settings import Settings
from tests.training.conftest import CURRENT, SENTENCES
from training.base_model import load_base
from training.blocks import begin_with_bos
from training.prefer import Taste, prefer
from training.preferences import log_likelihoods, rows_of


@pytest.fixture
def bot(make_bot: Callable[..., Bot]) -> Bot:
    keys = Prefer(epochs=3, batch_size=8, learning_rate=2e-3, beta=1)
    return make_bot().model_copy(update={"prefer": keys})


def curate(connection: Connection, texts: list[str], likes: Callable[[str], bool]) -> None:
    add_tweets(connection, "bird", [NewTweet(text, model=CURRENT) for text in texts])
    for id, text in connection.execute("SELECT id, text FROM tweets").fetchall():
        decide(connection, "bird", id, "approved" if likes(text) else "rejected", "no")


def test_only_what_people_decided_last_is_a_label(connection: Connection) -> None:
    texts = [NewTweet(text, model="m") for text in ("approved", "rejected", "changed", "edited", "put back", "open")]
    texts += [NewTweet("by the judge", "rejected", "short", model="m"), NewTweet("a person's own", model=None)]
    add_tweets(connection, "bird", [*texts, NewTweet("The cat sat.", prompt="The", model="m")])
    ids = {text: id for id, text in connection.execute("SELECT id, text FROM tweets").fetchall()}
    for text, states in {
        "approved": ["approved"],
        "rejected": ["rejected"],
        "changed": ["rejected", "approved"],
        "put back": ["rejected", "candidate"],
        "a person's own": ["approved"],
        "The cat sat.": ["approved"],
    }.items():
        for state in states:
            decide(connection, "bird", ids[text], state, "no")
    edit(connection, "bird", ids["edited"], "better")
    edit(connection, "bird", ids["The cat sat."], "The cat slept.")
    found = {label.written: (label.prompt, label.text, label.judgement) for label in labels(connection, "bird")}
    assert found == {
        "approved": ("", "approved", "approved"),
        "rejected": ("", "rejected", "rejected"),
        "changed": ("", "changed", "approved"),
        "edited": ("", "better", "candidate"),
        "The cat sat.": ("The", "The cat slept.", "approved"),
    }
    taste = Taste.of(labels(connection, "bird"))
    assert str(taste) == "2 approved, 1 rejected, 2 edited"
    decide(connection, "bird", ids["edited"], "rejected", "no")  # what the edit made of it was no good either
    assert str(Taste.of(labels(connection, "bird"))) == "2 approved, 2 rejected, 1 edited"


@pytest.mark.slow
def test_what_people_like_becomes_likelier_and_the_voice_stays(
    bot: Bot, with_current: Settings, speaking: Connection
) -> None:
    seen, unseen = SENTENCES[18:118], SENTENCES[118:]

    def likes(text: str) -> bool:
        return "repeats" in text or "sells" in text or "hides" in text

    curate(speaking, seen, likes)
    made = prefer(bot, with_current)
    assert f"{sum(map(likes, seen))} approved, {100 - sum(map(likes, seen))} rejected, 0 edited" in made.summary()
    assert (made.parent, made.skipped) == (CURRENT, False)
    change = of(made.address, unseen) - of(made.address.replace(made.id, CURRENT), unseen)
    liked = torch.tensor([likes(text) for text in unseen])
    assert change[liked].mean() > change[~liked].mean() + 1
    assert made.metrics["dev_loss"] < made.metrics["dev_loss_before"]  # a random model's, and the language loss teaches
    figures = evaluation(with_current.bucket, "bird", made.id, CURRENT)
    assert figures
    assert figures["dev_nats_per_character"] == made.metrics["dev_nats_per_character"]
    manifest = with_current.bucket.manifest("bird", "models", made.id)
    assert manifest
    assert (manifest["method"], manifest["parent"], manifest["base"]) == ("prefer", CURRENT, "tiny")
    assert "openvino/openvino_model.bin" in manifest["files"]
    run = runs.find(speaking, "bird")
    assert (run.kind, run.state, run.model, run.base) == ("prefer", "done", made.id, CURRENT)

    again = prefer(bot, with_current)
    assert (again.id, again.skipped) == (made.id, True)


def of(address: str, texts: list[str]) -> torch.Tensor:
    """The log-likelihoods of texts."""
    model, tokenizer = load_base(address, Path())
    begin_with_bos(tokenizer)
    with torch.no_grad():
        return log_likelihoods(model.eval(), rows_of(tokenizer, texts, 99), torch.device("cpu"))


@pytest.mark.slow
def test_edits_alone_are_enough(bot: Bot, with_current: Settings, speaking: Connection) -> None:
    add_tweets(speaking, "bird", [NewTweet(text, model=CURRENT) for text in SENTENCES[:24]])
    for id, text in speaking.execute("SELECT id, text FROM tweets").fetchall():
        edit(speaking, "bird", id, text.replace(".", "!"))
    made = prefer(bot, with_current)
    assert made.metrics["decisions"] == {"approved": 0, "rejected": 0, "edited": 24}
    rows = Path(with_current.bucket.path("bird", "models", made.id, "history.jsonl")).read_text().splitlines()
    losses = [json.loads(row)["preference_loss"] for row in rows[1:]]
    assert losses[0] == pytest.approx(0.693, abs=0.01)
    assert losses[-1] < 0.3


@pytest.mark.parametrize(
    ("likes", "texts", "says"),
    [
        (
            lambda text: True,
            SENTENCES[:30],
            "30 decisions, all of one kind: texts that people approved, and none reject",
        ),
        (
            lambda text: False,
            SENTENCES[:30],
            "30 decisions, all of one kind: texts that people rejected, and none appr",
        ),
        (
            lambda text: "news" in text,
            SENTENCES[:12],
            r"12 decisions of people .* fewer than prefer.min_decisions \(20",
        ),
        (lambda text: True, [], r"bird has 0 decisions of people"),
    ],
)
def test_decisions_that_teach_nothing(
    likes: Callable[[str], bool], texts: list[str], says: str, bot: Bot, with_current: Settings, speaking: Connection
) -> None:
    curate(speaking, texts, likes)
    with pytest.raises(MynahError, match=says):
        prefer(bot, with_current)


def test_without_a_current_model(bot: Bot, with_current: Settings) -> None:
    with pytest.raises(MynahError, match="no current model to start from: `mynah promote bird` makes one"):
        prefer(bot, with_current)
