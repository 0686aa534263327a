"""One bot, several accounts: where one service is down, the others go on; it catches up until it is too late."""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.cluster import kube
from tests.cluster.kube import CHART, RELEASE, VALUES, WAITING, helm, kubectl, wait

BOT = "gulls"
SIMULATOR = f"statefulset/{RELEASE}-mastodon-simulator"
TEXTS = ["The sea is a patient listener.", "A chip left alone is a chip shared.", "No wind has ever asked the way."]
ADD = f"""
import os
from mynah.database.tweets import NewTweet, add_tweets
from mynah.settings import Settings
with Settings.read(os.environ).connect() as connection:
    print(add_tweets(connection, {BOT!r}, [NewTweet(text, state="approved") for text in {TEXTS!r}]))
"""


@pytest.fixture(scope="module")
def gulls(release: str, images: dict[str, str]) -> Iterator[str]:
    """The bot beside the other one, with three approved texts; the server of its accounts on Mastodon is down.

    Its last time was some minutes ago, so that nothing is posted but by the Jobs that a test makes of its CronJobs.
    """
    due = datetime.now(UTC) - timedelta(minutes=5)
    every = {"schedule": f"{due.minute} * * * *"}
    accounts = {
        "bird": {"kind": "x", **every},
        "herd": {"kind": "mastodon", **every},
        "hasty": {"kind": "mastodon", "env": "HASTY_", "late_minutes": 1, **every},
    }
    bot = {"sources": {"none": {"url": "none.txt"}}, "accounts": accounts, "serve": {"mode": "none"}}
    flags = ("--set-json", f"bots.{BOT}={json.dumps(bot)}", "--set", "mastodonSimulator.enabled=true", *WAITING)
    helm(release, "upgrade", RELEASE, CHART, *VALUES, *kube.image_flags(images), *flags)
    assert kube.run_job(release, "post-bird", script=ADD, bot=BOT).strip() == str(len(TEXTS))
    kubectl(release, "scale", SIMULATOR, "--replicas=0", "--timeout=60s")
    wait("the server to be down", lambda: not kube.find(release, "pods", _component="mastodon-simulator"))
    yield release
    helm(release, "upgrade", RELEASE, CHART, *VALUES, *kube.image_flags(images), *WAITING)


def test_an_account_that_is_down_holds_no_other_and_catches_up_or_misses_as_its_key_says(
    gulls: str, figures: dict[str, str]
) -> None:
    herd, bird, hasty = (kube.start_job(gulls, f"post-{account}", bot=BOT) for account in ("herd", "bird", "hasty"))
    posted, missed = kube.finish_job(gulls, bird), kube.finish_job(gulls, hasty)
    assert "posted tweet" in posted.log, posted.log
    assert "missed the post of" in missed.log, missed.log

    def refused() -> list[dict[str, object]]:
        return kube.rows(gulls, f"SELECT reason FROM slots WHERE bot = '{BOT}' AND account = 'herd'")

    (tried,) = wait("the first try", refused)
    assert "no connection" in str(tried["reason"])
    begin = time.monotonic()
    kubectl(gulls, "scale", SIMULATOR, "--replicas=1", "--timeout=60s")
    caught_up = kube.finish_job(gulls, herd)
    figures["an account that is up again has its post after"] = f"{time.monotonic() - begin:.0f} s"
    assert "posted tweet" in caught_up.log, caught_up.log
    # (What failed first waits, and another text was posted.)
    made = kube.rows(gulls, f"SELECT account FROM posts WHERE bot = '{BOT}' AND state = 'posted' ORDER BY account")
    assert [row["account"] for row in made] == ["bird", "herd"]
    # The same time again: each has had its chance.
    assert "is made already" in kube.run_job(gulls, "post-bird", bot=BOT)
