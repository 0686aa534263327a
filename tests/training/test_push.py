"""A model goes up to the Hub by its real client, in one commit, with the card of today; what it refuses is one line.

The stand-in takes large files by Git LFS, which the client speaks with HF_HUB_DISABLE_XET=1.
"""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard

from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.database import served
from mynah.database.connection import Connection
from mynah.errors import MynahError, UsageError
from mynah.sampled import write_samples
from mynah.settings import Settings
from tests.training.hub import TOKEN, hub_at_work
from tests.training.test_card import DATASET, MANIFEST, SAMPLED
from training.push import push

REPO = Path(__file__).parents[2]
ID = MANIFEST["id"]
WEIGHTS = b"\0\1\2" * 100_000
# In a process of its own: the client reads where the Hub is when it is imported.
SCRIPT = """
import dataclasses, json, os, sys
from mynah.bot import Bot
from mynah.errors import MynahError
from mynah.settings import Settings
from training.push import push
bot = Bot(name="bird", sources={"s": {"kind": "file", "url": "unused.txt"}})
settings = Settings.read(os.environ)
for token, place, public in json.loads(sys.argv[1]):
    os.environ["HF_TOKEN"] = token
    try:
        print(json.dumps(dataclasses.asdict(push(bot, settings, place, None, public, False))))
    except MynahError as error:
        print(json.dumps(str(error)))
"""


@pytest.fixture
def settings(
    tmp_path: Path, database_url: str, connection: Connection, settings_of: Callable[[Bucket, Path, str], Settings]
) -> Settings:
    """With a current model."""
    bucket = Bucket(f"file://{tmp_path}/bucket")
    folder = tmp_path / "model"
    (folder / "openvino").mkdir(parents=True)
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "config.json").write_text("{}")
    (folder / "README.md").write_text("the card of that day")
    (folder / "openvino/openvino_model.bin").write_bytes(WEIGHTS[::-1])
    (folder / "history.jsonl").write_text(
        '{"step": 40, "samples": [{"prompt": "Love is", "text": "Love is blind."}]}\n'
    )
    bucket.publish(folder, {**MANIFEST, "base": "smollm2-135m"}, "bird", "models", ID)
    (tmp_path / "dataset").mkdir()
    bucket.publish(tmp_path / "dataset", DATASET, "bird", "datasets", MANIFEST["dataset"])
    served.carry_out(connection, served.ask(connection, "bird", ID, "a test").id)
    return settings_of(bucket, tmp_path / "home", database_url)


@pytest.fixture
def bot() -> Bot:
    return Bot(name="bird", sources={"s": {"kind": "file", "url": "unused.txt"}})


def pushed(settings: Settings, hub: str, *calls: tuple[str, str, bool]) -> list[Any]:
    """What `push` returned or said, for a token, a place and whether it is public, each."""
    env = {**os.environ, **settings.environment, "PYTHONPATH": str(REPO), "HF_ENDPOINT": hub, "HF_HUB_OFFLINE": "0"}
    env |= {"HF_HUB_DISABLE_XET": "1", "HF_HOME": str(settings.home), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    command = [sys.executable, "-c", SCRIPT, json.dumps(calls)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_model_goes_up_once_and_is_private(settings: Settings) -> None:
    write_samples(settings.bucket, "bird", ID, SAMPLED)
    with hub_at_work() as hub:
        calls = [(TOKEN, "hf://me/bird", False), (TOKEN, "hf://me/bird", False), (TOKEN, "hf://me/open", True)]
        calls += [("hf_wrong", "hf://me/bird", False), (TOKEN, "hf://others/bird", False)]
        first, again, public, wrong, others = pushed(settings, hub.address, *calls)
        private = hub.repositories["me/bird"]
        assert (private.private, private.commits) == (True, [f"bird {ID}"])
        assert set(private.files) == set(first["files"]) == {
            "README.md", "config.json", "model.safetensors", "openvino/openvino_model.bin", "history.jsonl",
        }  # fmt: skip
        assert private.files["model.safetensors"] == WEIGHTS
        assert first["address"].startswith(f"{hub.address}/me/bird/commit/")
        assert first["bytes"] == sum(map(len, private.files.values()))
        assert (first["private"], again["private"], public["private"]) == (True, True, False)
        assert again["address"] == first["address"]
        assert len([request for request in hub.requests if request.startswith("PUT /large/")]) == 2
        card = private.files["README.md"].decode()
        assert ModelCard(card).data.base_model == "HuggingFaceTB/SmolLM2-135M-Instruct"
        for said in ("Of 198 texts that it wrote, 3 recite", "- **Love is** blind.", 'model="me/bird"'):
            assert said in card
        assert wrong == (
            "the Hub does not let you write to me/bird: set HF_TOKEN to a token that may write there: "
            "https://huggingface.co/settings/tokens"
        )
        assert others.startswith("the Hub does not let you write to others/bird: set HF_TOKEN")
        assert set(hub.repositories) == {"me/bird", "me/open"}


def test_a_hub_that_is_away_is_one_line(settings: Settings) -> None:
    (said,) = pushed(settings, "http://127.0.0.1:1", (TOKEN, "hf://me/bird", False))
    assert said.startswith("the Hub cannot be reached (")
    assert said.endswith("): check the network; run this again")


def test_a_dry_run_asks_nobody(bot: Bot, settings: Settings) -> None:
    shown = push(bot, settings, "hf://me/bird", ID, public=False, dry_run=True)
    assert shown.summary().startswith(f"{ID}: 5 files, 0.6 MB, for me/bird (private if it is new), with this card:")
    assert "the card of that day" not in shown.card


def test_what_cannot_be_pushed_is_said(bot: Bot, settings: Settings, connection: Connection) -> None:
    for place in ("me/bird", "hf://bird", "hf://me/bird/more", "hf://me/ bird", "s3://me/bird"):
        with pytest.raises(UsageError, match="want hf://OWNER/NAME, such as hf://me/bird"):
            push(bot, settings, place, None, public=False, dry_run=True)
    with pytest.raises(MynahError, match="no such model"):
        push(bot, settings, "hf://me/bird", "20200101T000000-00000000", public=False, dry_run=True)
    connection.execute("UPDATE served SET until = clock_timestamp()")
    with pytest.raises(MynahError, match="has no current model"):
        push(bot, settings, "hf://me/bird", None, public=False, dry_run=True)
