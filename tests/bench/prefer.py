"""`make bench PART=prefer`: how well the demo's model learns the tastes of three made curators.

Each looks through 1,200 texts of the model and decides about 200: those it likes, up to half, else ones that it does
not. `mynah prefer` tunes the model on them; then 500 texts of the model before and after, with seeds that nobody has
used, are shown to the same curator. The model is trained first, where MYNAH_HOME has none.
"""

import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import psycopg

from mynah import endpoint
from mynah.bot import Bot, load
from mynah.bucket import Bucket
from mynah.database import served
from mynah.database.connection import connect, reach
from mynah.database.migrations import migrate
from mynah.database.tweets import NewTweet, add_tweets, decide
from mynah.local_server import serving
from mynah.sampled import figures
from mynah.settings import Settings
from mynah.text import clean_generated, fold_spaces, words
from mynah.trained_on import copied_from
from training.prefer import prefer

FILE = "bots/fortune.yaml"
CANDIDATES, DECISIONS, SAMPLES = 1200, 200, 500
SEEDS = {"decided": 1_000_000, "before": 2_000_000, "after": 3_000_000}


def asks(text: str) -> bool:
    return "?" in text


def repeats_nothing(text: str) -> bool:
    """No word of four letters or more comes twice."""
    long = [word for word in words(text) if len(word) > 3]
    return len(long) == len(set(long))


def is_short(text: str) -> bool:
    return len(text) < 80


TASTES: dict[str, Callable[[str], bool]] = {
    "likes questions": asks,
    "hates repetition": repeats_nothing,
    "under 80 characters": is_short,
}


def main(names: Sequence[str]) -> None:
    home = Path(os.environ.get("MYNAH_HOME") or ".mynah").absolute()
    os.environ["MYNAH_HOME"] = str(home)
    for verb in ("scrape", "dataset", "train"):
        subprocess.run([sys.executable, "-m", "mynah", verb, FILE], check=True, stdout=subprocess.DEVNULL)
    bot = load(Path(FILE))
    bucket = Settings.read(os.environ).bucket
    model = next(manifest["id"] for manifest in bucket.manifests(bot.name, "models") if not manifest.get("method"))
    decided, before = (
        sample(bot, model, count, seed) for count, seed in ((CANDIDATES, "decided"), (SAMPLES, "before"))
    )
    with tempfile.TemporaryDirectory() as scratch, connect(None, Path(scratch)) as server:
        for number, (name, likes) in enumerate(TASTES.items()):
            if names and not any(part in name for part in names):
                continue
            server.execute(f"CREATE DATABASE taste{number}")
            address = psycopg.conninfo.make_conninfo(server.info.dsn, dbname=f"taste{number}")
            settings = Settings.read({**os.environ, "DATABASE_URL": address})
            made = tuned(bot, settings, model, decided, likes)
            report(name, likes, bot, settings, model, made, before, sample(bot, made, SAMPLES, "after"))


def sample(bot: Bot, model: str, count: int, seed: str) -> list[tuple[str, bool]]:
    """What the model server writes: cleaned texts, "" where nothing is left, and whether they ended by themselves."""
    ask = bot.generate.model_copy(update={"samples": count, "seed": SEEDS[seed]})
    with serving(FILE, model) as address, endpoint.client(address) as client:
        found = endpoint.completions(client, bot.name, "", ask)
        return [(clean_generated(each.text, each.finished), each.finished) for each in found]


def tuned(bot: Bot, settings: Settings, model: str, texts: list[tuple[str, bool]], likes: Callable[[str], bool]) -> str:
    """The model that `mynah prefer` makes of `model` and a curator's DECISIONS about these texts."""
    whole = list({fold_spaces(text): text for text, _ in texts if text}.values())
    chosen = [text for text in whole if likes(text)][: DECISIONS // 2]
    chosen += [text for text in whole if not likes(text)][: DECISIONS - len(chosen)]
    with reach(settings.environment["DATABASE_URL"], settings.home) as connection:
        migrate(connection)
        served.carry_out(connection, served.ask(connection, bot.name, model, "bench").id)
        add_tweets(connection, bot.name, [NewTweet(text, model=model) for text in chosen])
        for id, text in connection.execute("SELECT id, text FROM tweets").fetchall():
            decide(connection, bot.name, id, "approved" if likes(text) else "rejected", "not to my taste")
    return prefer(bot, settings, again=True).id


def report(
    name: str,
    likes: Callable[[str], bool],
    bot: Bot,
    settings: Settings,
    model: str,
    made: str,
    before: list[tuple[str, bool]],
    after: list[tuple[str, bool]],
) -> None:
    bucket: Bucket = settings.bucket
    copied = copied_from(settings, bot.name, model)
    old, new = figures(before, copied), figures(after, copied)
    shares = [
        sum(likes(text) for text, _ in texts if text) / sum(bool(text) for text, _ in texts)
        for texts in (before, after)
    ]
    manifest = bucket.manifest(bot.name, "models", made)
    assert manifest
    metrics = manifest["metrics"]
    perplexities = [math.exp(metrics["dev_loss_before"]), math.exp(metrics["dev_loss"])]
    size = min(pairs(before), pairs(after))
    print(f"{name}: {metrics['decisions']}, {metrics['steps']} steps in {metrics['seconds']:.0f} s")
    for what, old_figure, new_figure, form in (
        ("approved", *shares, ".1%"),
        ("dev perplexity", *perplexities, ".2f"),
        ("distinct texts", old.distinct / old.texts, new.distinct / new.texts, ".1%"),
        (f"distinct-2 of {size:,} pairs", distinct_2(before, size), distinct_2(after, size), ".3f"),
        ("recited", old.share_recited, new.share_recited, ".1%"),
        ("words each", old.mean_words, new.mean_words, ".1f"),
    ):
        print(f"  {what:<26} {format(old_figure, form):>7} → {format(new_figure, form):>7}")
    print(
        f"  rejected {(1 - shares[1]) / (1 - shares[0]):.2f} times as often, "
        f"perplexity {perplexities[1] / perplexities[0]:.3f} times as high"
    )


def pairs(samples: list[tuple[str, bool]]) -> int:
    return sum(max(0, len(words(text)) - 1) for text, _ in samples)


def distinct_2(samples: list[tuple[str, bool]], size: int) -> float:
    """Of the first `size` pairs of words, the share that differ: of more pairs, fewer would."""
    found = [pair for text, _ in samples for pair in pairwise(words(text))][:size]
    return len(set(found)) / len(found)


if __name__ == "__main__":
    main(sys.argv[1:])
