"""`mynah train` in a process of its own, for tests that watch it, stop it or kill it."""

import json
import subprocess
import sys

from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.settings import Settings

SCRIPT = """
import json, sys
from dataclasses import asdict
from mynah.bot import Bot
from mynah.errors import MynahError
from mynah.settings import Settings
from training import base_model, driver, lease
from training.train import inputs, train
lease.SECONDS, lease.RENEW_EVERY, driver.TRIES = float(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5])
settings = Settings.read(json.loads(sys.argv[2]))
loaded, load_base = [], base_model.load_base
base_model.load_base = lambda name, cache: loaded.append(name) or load_base(name, cache)
try:
    trained = train(Bot.model_validate_json(sys.argv[1]), settings)
except MynahError as error:
    sys.exit(f"mynah: {error}")
(settings.home / "trained.json").write_text(json.dumps({**asdict(trained), "loaded": loaded}))
"""


def start(
    bot: Bot, settings: Settings, seconds: float = 120, renew: float = 20, tries: int = 13
) -> subprocess.Popen[str]:
    """Train; the lease is good for `seconds` and renewed every `renew`, S3 is tried so often."""
    command = [sys.executable, "-c", SCRIPT, bot.model_dump_json(), json.dumps(dict(settings.environment))]
    return subprocess.Popen(
        [*command, str(seconds), str(renew), str(tries)],
        start_new_session=True,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def history_of(bucket: Bucket, id: str) -> list[dict[str, float]]:
    """The history in the model folder `id` of the bot bird."""
    return [json.loads(line) for line in bucket.read("bird", "models", id, "history.jsonl").splitlines()]
