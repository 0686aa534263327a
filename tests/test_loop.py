"""The whole loop with a tiny model: from texts to a post, again, and killed in every step."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

STEPS = ("scrape", "dataset", "train", "promote", "serve", "generate", "post")
WHO = ("a cat", "the king", "my aunt", "one fool", "the sea", "a poet", "the moon", "some luck")
WHAT = ("likes", "hates", "finds", "sells", "fears", "keeps")
WHICH = ("old shoes", "loud men", "cold tea", "good books", "long roads", "small dogs")
BOT = """\
bots:
  demo:
    sources:
      sayings: {{url: sayings.txt}}
    train:
      {{base: {base}, max_steps: 50, learning_rate: 0.01, block_size: 32, eval_every: 50, save_every: 20}}
    generate: {{samples: 30, max_tokens: 24, temperature: 1.0, seed: 1}}
    judge: {{min_words: 3, max_copied: 1, approve_best: 3}}
"""


@pytest.fixture
def folder(tmp_path: Path, tiny: str) -> Path:
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots/demo.yaml").write_text(BOT.format(base=tiny))
    sayings = [f"{who} {what} {which}." for who in WHO for what in WHAT for which in WHICH]
    (tmp_path / "sayings.txt").write_text("\n".join(sayings))
    return tmp_path


def start(folder: Path, *arguments: str, **env: str) -> "subprocess.Popen[str]":
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("MYNAH_", "X_"))}
    return subprocess.Popen(
        [sys.executable, "-m", "mynah", *arguments],
        cwd=folder,
        env=keep | env,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *arguments: str, **env: str) -> dict[str, Any]:
    process = start(folder, "run", "demo", "--json", *arguments, **env)
    out, err = process.communicate(timeout=200)
    assert process.returncode == 0, err
    return json.loads(out)


def outbox(folder: Path) -> list[dict[str, Any]]:
    path = folder / ".mynah/outbox/demo.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.mark.slow
def test_from_texts_to_a_post_though_killed_in_every_step_and_again(folder: Path, database_url: str) -> None:
    for step in STEPS[:-1]:  # once a step has ended, the next one is at work
        process = start(folder, "run", "demo", DATABASE_URL=database_url)
        assert process.stderr
        for line in process.stderr:
            if line.split()[:1] == [step]:
                break
        else:
            pytest.fail(f"step {step} was never reached")
        time.sleep({"dataset": 8, "train": 1}.get(step, 0.2))  # well into the next step
        process.send_signal(signal.SIGKILL)
        process.communicate()
        wait_until_nobody_works_in(folder)

    report = run(folder, DATABASE_URL=database_url)
    metrics = report["model"]["metrics"]
    assert metrics["dev_loss"] < metrics["dev_loss_untuned"]
    assert Path(report["plot"]).read_bytes().startswith(b"\x89PNG")
    assert len(report["texts"]) >= 3
    posts = [line["text"] for line in outbox(folder)]
    assert 1 <= len(posts) == len(set(posts)) <= 2
    assert states(database_url) == {state: number for state, number in report["tweets"].items() if number}
    assert report["tweets"]["posted"] == len(posts)
    assert report["tweets"]["posting"] == 0
    assert report["current"] == report["model"]["id"]
    assert report["posted"]["main"]["outcome"] == "posted"
    models = [path for path in (folder / ".mynah/bucket/demo/models").iterdir() if (path / "model.json").exists()]
    assert len(models) == 1

    again = run(folder, DATABASE_URL=database_url)
    assert again["model"]["id"] == report["model"]["id"]
    assert not {"promote", "serve", "generate"} & set(again["seconds"])
    assert again["tweets"]["posted"] == len(posts) + 1
    assert len(outbox(folder)) == len(posts) + 1

    more = run(folder, "--again", "generate", DATABASE_URL=database_url)
    assert more["model"]["id"] == report["model"]["id"]
    assert more["tweets"]["posted"] == len(posts) + 2
    # A bot without a server has one for as long as it generates.
    alone = start(folder, "generate", "demo", "--set", "bots.demo.serve.mode=none", "--json", DATABASE_URL=database_url)
    generated = json.loads(alone.communicate()[0])
    assert (generated["model"], generated["written"]) == (report["model"]["id"], 30)
    status = start(folder, "status", "demo", "--json", DATABASE_URL=database_url).communicate()[0]
    assert json.loads(status)["model"]["id"] == report["model"]["id"]
    assert json.loads(status)["current"]["model"] == report["model"]["id"]
    assert json.loads(status)["tweets"]["posted"] == more["tweets"]["posted"]


def states(database_url: str) -> dict[str, int]:
    with psycopg.connect(database_url) as connection:
        return dict(connection.execute("SELECT state, count(*) FROM tweets GROUP BY state").fetchall())


def wait_until_nobody_works_in(folder: Path) -> None:
    """A killed loop leaves no process behind. Ray's agents, killed as they start, look for Ray for a minute."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        left = []
        for process in psutil.process_iter():
            try:
                if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                    left.append(process.cmdline()[:4])
            except (psutil.NoSuchProcess, psutil.AccessDenied, FileNotFoundError):
                continue  # a process that is just ending has a folder in /proc, but no working directory any more
        if not left:
            return
        time.sleep(0.2)
    pytest.fail(f"still at work: {left}")
