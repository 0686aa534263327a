"""The command as a person meets it: exit codes, one-line errors, help."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mynah.database import posts, tweets
from mynah.database.connection import Connection
from mynah.database.tweets import NewTweet
from simulators.x.api import DEMO_KEYS

REPO = Path(__file__).parent.parent
VERBS = (
    *(
        "run",
        "scrape",
        "clean",
        "dataset",
        "train",
        "runs",
        "logs",
        "stop",
        "compare",
        "push",
        "prune",
        "serve",
        "generate",
        "curate",
        "search",
        "alert",
        "post",
        "settle",
        "history",
        "likes",
        "promote",
        "rollback",
        "status",
    ),
    "x-simulator",
    "mastodon-simulator",
)
BOT = """\
bots:
  demo:
    sources:
      quotes: {url: quotes.txt}
"""


def clean() -> dict[str, str]:
    """The environment without what mynah reads of it."""
    return {
        name: value for name, value in os.environ.items() if not name.startswith(("MYNAH_", "X_", "PG", "DATABASE"))
    }


def mynah(cwd: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mynah", *arguments],
        cwd=cwd,
        env=clean() | env,
        capture_output=True,
        text=True,
        check=False,
    )


def complaint(done: subprocess.CompletedProcess[str], code: int) -> str:
    """The one line that a failed command says."""
    assert done.returncode == code, done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("mynah: ")
    return lines[0].removeprefix("mynah: ")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder as a user's: one bot file, and the texts it names."""
    (tmp_path / "bots").mkdir()
    (tmp_path / "bots/demo.yaml").write_text(BOT)
    (tmp_path / "quotes.txt").write_text("\n".join(f"this is the quote number {n}" for n in range(60)))
    return tmp_path


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_has_help_with_an_example(verb: str, tmp_path: Path) -> None:
    shown = mynah(tmp_path, verb, "--help")
    assert shown.returncode == 0
    assert f"mynah {verb}" in shown.stdout.split("Example")[1]


def test_the_help_ends_its_sentences(tmp_path: Path) -> None:
    lines = mynah(tmp_path, "--help").stdout.splitlines()
    assert len(lines) > 30
    assert not [line for line in lines if line.rstrip().endswith(("...", "…"))]
    for verb in VERBS:
        assert any(line.split()[:1] == [verb] for line in lines)


# What an import costs counts in every call: see also `make bench`.
IMPORTED = """
import atexit, os, sys
atexit.register(lambda: open(os.environ["IMPORTED"], "w").write(" ".join(sys.modules)))
from mynah.cli import main
main()
"""


def imported(cwd: Path, *arguments: str, **env: str) -> set[str]:
    """The packages that `mynah ARGUMENTS`, which succeeds, has imported when it ends."""
    path = cwd / "imported"
    done = subprocess.run(
        [sys.executable, "-c", IMPORTED, *arguments],
        cwd=cwd,
        env=clean() | env | {"IMPORTED": str(path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return {name.partition(".")[0] for name in path.read_text().split()}


HEAVY = {"torch", "ray", "transformers", "kserve", "openvino", "kubernetes", "pyarrow", "httpx", "numpy", "rich"}


@pytest.mark.parametrize(
    "arguments", [["--version"], ["--help"], ["post", "--help"], ["curate", "--help"], ["status", "--help"]]
)
def test_what_only_tells_imports_next_to_nothing(arguments: list[str], tmp_path: Path) -> None:
    found = imported(tmp_path, *arguments)
    assert "click" in found
    assert not found & (HEAVY | {"pydantic", "psycopg", "yaml", "tweepy", "cronsim"})


def test_a_post_imports_what_it_needs_alone(
    folder: Path, connection: Connection, database_url: str, simulator: str
) -> None:
    tweets.add_tweets(connection, "demo", [NewTweet("A fine text.", state="approved")])
    found = imported(folder, "post", "demo", DATABASE_URL=database_url, X_API_URL=simulator, **DEMO_KEYS)
    assert tweets.count_states(connection, "demo")["posted"] == 1
    assert {"psycopg", "tweepy", "pydantic"} <= found
    assert not found & HEAVY


def test_a_look_at_the_runs_imports_what_it_needs_alone(folder: Path, database_url: str) -> None:
    assert not imported(folder, "runs", "demo", DATABASE_URL=database_url) & HEAVY


def test_scrape_and_dataset_tell_people_and_machines(folder: Path) -> None:
    scraped = json.loads(mynah(folder, "scrape", "demo", "--json").stdout)
    assert scraped["new"] == {"quotes": 60}
    assert mynah(folder, "scrape", "demo").stdout == "quotes: 60 documents, 0 new\n"
    built = json.loads(mynah(folder, "dataset", "demo", "--json").stdout)
    assert built["counts"]["train"] + built["counts"]["dev"] == 60
    assert json.loads(mynah(folder, "dataset", "demo", "--json").stdout)["skipped"] is True


@pytest.mark.parametrize(
    ("arguments", "code", "wanted"),
    [
        (["scrape", "nobody"], 2, "no bot named nobody: bots/nobody.yaml does not exist; bots/ has: demo"),
        (["scrape", "demo", "--set", "bots.demo.clena=1"], 2, "unknown key; did you mean clean?"),
        (["scrape", "demo", "--set", "serve.mode=none"], 2, "serve: unknown key; did you mean bots.NAME.serve?"),
        (["scrape", "demo", "--set", "bots.demo.sources.quotes.url=gone.txt"], 1, "gone.txt: no such file"),
        (["clean", "demo"], 1, "has no documents yet: run `mynah scrape demo`"),
        (["dataset", "demo"], 1, "has no documents yet: run `mynah scrape demo`"),
        (["train", "demo"], 1, "run `mynah dataset demo`"),
        (["serve", "demo"], 1, "has no model in"),
        (["generate", "demo", "--endpoint", "http://127.0.0.1:1"], 1, "start it with `mynah serve demo`"),
        (["curate", "demo", "aprove"], 2, "'aprove' is not one of"),
        (["scrape"], 2, "Missing argument 'BOT'. See `mynah scrape --help`."),
        (["curate", "demo", "approve"], 2, "name tweets by their ids"),
        (["curate", "demo", "approve", "9" * 30], 2, "name tweets by their ids"),
        (["curate", "demo", "edit", "1"], 2, "edit takes one id and the new text"),
        (["curate", "demo", "history", "1", "2"], 2, "history takes one id"),
        (["curate", "demo", "approve", "1", "2", "--revision", "3"], 2, "--revision takes one id"),
        (["curate", "demo", "approve", "7"], 1, "bot demo has no tweet 7"),
    ],
)
def test_mistakes_are_one_line(folder: Path, arguments: list[str], code: int, wanted: str) -> None:
    assert wanted in complaint(mynah(folder, *arguments), code)


def test_the_environment_is_checked(folder: Path) -> None:
    assert "X_API_SECRET, X_ACCESS_TOKEN" in complaint(mynah(folder, "post", "demo", X_API_KEY="k"), 2)
    dead = mynah(folder, "status", "demo", DATABASE_URL="postgresql://x@127.0.0.1:1/x")
    assert "Postgres does not answer" in complaint(dead, 1)
    assert "write file:///path" in complaint(mynah(folder, "scrape", "demo", MYNAH_BUCKET="ftp://x"), 2)


def test_a_home_that_cannot_be_written_is_one_line(folder: Path) -> None:
    (folder / "file").write_text("")
    assert "cannot be written" in complaint(mynah(folder, "scrape", "demo", MYNAH_HOME=str(folder / "file/home")), 1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount a small file system")
@pytest.mark.parametrize("options", ["size=64k", "size=64k,ro"])
def test_a_full_or_read_only_home_is_one_line_and_loses_nothing(folder: Path, options: str) -> None:
    home = folder / "home"
    home.mkdir()
    (folder / "quotes.txt").write_text("\n".join(os.urandom(40).hex() for _ in range(3000)))
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", home], check=True)
    try:
        assert "home" in complaint(mynah(folder, "scrape", "demo", MYNAH_HOME=str(home)), 1)
        assert list(home.rglob("*.zst")) == []
    finally:
        subprocess.run(["umount", home], check=True)


def test_curate_from_the_command_line(folder: Path, connection: Connection, database_url: str) -> None:
    url = database_url
    tweets.add_tweets(connection, "demo", [NewTweet("A fine text, one of two.", score=0.5)])
    assert "A fine text" in mynah(folder, "curate", "demo", DATABASE_URL=url).stdout
    assert mynah(folder, "curate", "demo", "edit", "1", "A finer text.", DATABASE_URL=url).returncode == 0
    assert "cannot be posted" in complaint(mynah(folder, "curate", "demo", "edit", "1", "x" * 300, DATABASE_URL=url), 2)
    assert mynah(folder, "curate", "demo", "approve", "1", DATABASE_URL=url).stdout == "approved: 1\n"
    listed = json.loads(mynah(folder, "curate", "demo", "--state", "approved", "--json", DATABASE_URL=url).stdout)
    assert [(tweet["text"], tweet["revision"]) for tweet in listed["tweets"]] == [("A finer text.", 3)]
    stale = mynah(folder, "curate", "demo", "reject", "1", "--revision", "2", DATABASE_URL=url, MYNAH_USER="ana")
    assert "tweet 1 was approved by" in complaint(stale, 1)
    rejected = mynah(
        folder,
        *("curate", "demo", "reject", "1", "--reason", "dull", "--revision", "3"),
        DATABASE_URL=url,
        MYNAH_USER="ana",
    )
    assert rejected.returncode == 0, rejected.stderr
    assert tweets.count_states(connection, "demo")["rejected"] == 1
    history = mynah(folder, "curate", "demo", "history", "1", DATABASE_URL=url).stdout
    assert "  rejected by ana (dull)\n" in history
    status = mynah(folder, "status", "demo", DATABASE_URL=url).stdout
    assert "tweets   1 rejected" in status
    assert "next     " in status


def test_a_doubtful_tweet_is_not_put_back(folder: Path, connection: Connection, database_url: str) -> None:
    tweets.add_tweets(connection, "demo", [NewTweet("A fine text.", state="approved")])
    row = posts.claim(connection, "demo", "main")
    assert row
    posts.doubt(connection, row.id, "the answer was lost")
    line = complaint(mynah(folder, "curate", "demo", "putback", "1", DATABASE_URL=database_url), 1)
    assert line.startswith("nobody knows whether tweet 1 was posted: look, then approve it")
    assert mynah(folder, "curate", "demo", "approve", "1", DATABASE_URL=database_url).stdout == "approved: 1\n"
    posted = json.loads(mynah(folder, "post", "demo", "--json", DATABASE_URL=database_url).stdout)
    assert (posted["outcome"], posted["account"]) == ("posted", "main")


def test_post_asks_which_account(folder: Path) -> None:
    bot = folder / "bots/demo.yaml"
    bot.write_text(BOT + "    accounts: {tryout: {kind: outbox}, news: {kind: x, env: NEWS_}}\n")
    assert complaint(mynah(folder, "post", "demo"), 2) == (
        "bot demo has several accounts (tryout, news): choose one with --account NAME"
    )
    assert "no account nws; did you mean news?" in complaint(mynah(folder, "post", "demo", "--account", "nws"), 2)
    assert "set NEWS_X_API_KEY, NEWS" in complaint(mynah(folder, "post", "demo", "--account", "news"), 2)


@pytest.mark.parametrize(
    "verb",
    [
        ("train", "demo", "--on", "kubernetes"),
        ("promote", "demo", "--on", "kubernetes"),
        ("rollback", "demo", "--on", "kubernetes"),
    ],
)
def test_no_cluster_to_ask(verb: tuple[str, ...], folder: Path) -> None:
    line = complaint(mynah(folder, *verb, KUBECONFIG=str(folder / "none"), KUBERNETES_SERVICE_HOST=""), 1)
    assert line.startswith("no Kubernetes cluster is configured")
    assert line.endswith("set KUBECONFIG, or choose one with kubectl config")


def kubectl_config(folder: Path) -> None:
    """Of a cluster where nobody answers."""
    config = {
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {}}],
        "current-context": "c",
    }
    (folder / "config").write_text(json.dumps(config))


def test_a_cluster_that_does_not_answer(folder: Path) -> None:
    kubectl_config(folder)
    line = complaint(
        mynah(
            folder,
            "rollback",
            "demo",
            "--on",
            "kubernetes",
            KUBECONFIG=str(folder / "config"),
            KUBERNETES_SERVICE_HOST="",
        ),
        1,
    )
    assert line.startswith("CronJob demo-promote in namespace default: the cluster's API server gives no answer")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--on", "kubernetes", "--set", "bots.demo.ray.cpu=2"), "change it by helm upgrade"),
        (("--on", "kubernetes", "--set", "bots.demo.train.workers=2"), "change it by helm upgrade"),
        (("--namespace", "bots"), "--namespace goes with --on kubernetes"),
    ],
)
def test_what_a_training_on_a_cluster_cannot_take(arguments: tuple[str, ...], says: str, folder: Path) -> None:
    kubectl_config(folder)
    assert says in complaint(mynah(folder, "train", "demo", *arguments, KUBECONFIG=str(folder / "config")), 2)
