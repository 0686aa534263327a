"""A bot with an account on X, on Mastodon and on Bluesky: `mynah post` to each, as a person types it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mynah.database.connection import Connection
from mynah.database.tweets import NewTweet, add_tweets
from mynah.journal import opened
from simulators.mastodon.api import DEMO_TOKEN, application
from simulators.x.api import DEMO_KEYS
from tests.bluesky import PASSWORD, new_account, records
from tests.loopback import app_served

TEXT = "once to each of them: https://example.com/a"


@pytest.mark.slow
def test_a_text_goes_to_each_once(
    connection: Connection, database_url: str, tmp_path: Path, simulator: str, bluesky: str
) -> None:
    handle = new_account(bluesky, "three")
    add_tweets(connection, "parrot", [NewTweet(TEXT, state="approved")])
    with opened(tmp_path / "mastodon.jsonl") as journal, app_served(application(journal)) as mastodon:
        accounts = {
            "bird": {"kind": "x"},
            "herd": {"kind": "mastodon", "server": mastodon},
            "sky": {"kind": "bluesky", "server": bluesky, "handle": handle},
        }
        parrot = {"sources": {"none": {"url": "none.txt"}}, "judge": {"allow_links": True}, "accounts": accounts}
        bot = tmp_path / "parrot.yaml"
        bot.write_text(json.dumps({"bots": {"parrot": parrot}}), "utf-8")
        environment = os.environ | DEMO_KEYS | {"X_API_URL": simulator, "MASTODON_ACCESS_TOKEN": DEMO_TOKEN}
        environment |= {"BLUESKY_APP_PASSWORD": PASSWORD, "BLUESKY_URL": bluesky, "DATABASE_URL": database_url}
        environment |= {"MYNAH_HOME": str(tmp_path)}

        def post(account: str) -> dict[str, object]:
            command = [sys.executable, "-m", "mynah", "post", str(bot), "--account", account, "--json"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            said: dict[str, object] = json.loads(done.stdout)
            return said

        for name in (*accounts, *accounts):
            said = post(name)
            assert said["outcome"] == ("posted" if said["text"] else "nothing")
        assert [line["text"] for line in journal.lines] == [TEXT]
    told = [json.loads(line) for line in (tmp_path / "x.jsonl").read_text().splitlines()]
    assert [line["text"] for line in told] == [TEXT]
    ((record,),) = [records(bluesky, handle)]
    assert record["value"]["facets"][0]["features"][0]["uri"] == "https://example.com/a"  # type: ignore[index]
    posted = connection.execute("SELECT account, state FROM posts ORDER BY account").fetchall()
    assert posted == [("bird", "posted"), ("herd", "posted"), ("sky", "posted")]
