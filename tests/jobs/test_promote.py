"""Promotion and rollback on this machine, with a server that stands for `mynah serve`; what is said before one runs.

A cluster's are in tests/jobs/kubernetes.
"""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from jobs import judging
from jobs.place import Pool, ThisMachine
from jobs.prepare import prepare
from jobs.promote import promote, rollback
from mynah.bot import Bot, Promote
from mynah.bucket import Bucket
from mynah.database import served
from mynah.database.connection import Connection
from mynah.errors import MynahError
from mynah.settings import Settings
from tests.scripted import choices, scripted

OLD, NEW = "20260101T000000-old", "20260102T000000-new"
# Instead of `mynah serve BOT --model ID --port PORT`: what it does is named in the file FAULTS, by model.
SERVER = """
import json, pathlib, sys
from http.server import BaseHTTPRequestHandler, HTTPServer

_, verb, bot, _, model, _, _, port = sys.argv  # serve BOT --model ID --quiet --port PORT
fault = json.loads(pathlib.Path("FAULTS").read_text()).get(model)
assert (verb, bot) == ("serve", "demo")
if fault == "does not load":
    sys.exit("mynah: no openvino folder")

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.answer({})
    def do_POST(self):
        text = "" if fault == "mute" else "a text"
        self.answer({"choices": [{"text": text}]}, 500 if fault == "errs" else 200)
    def answer(self, body, status=200):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def log_message(self, *_): ...

HTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
"""


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    bucket = Bucket(f"file://{tmp_path}/bucket")
    publish(bucket, tmp_path, OLD, 3.5)
    publish(bucket, tmp_path, NEW, 3.0)
    return bucket


def publish(bucket: Bucket, folder: Path, id: str, loss: float | None) -> None:
    empty = folder / id
    empty.mkdir()
    metrics: dict[str, Any] = {"dev_loss": loss, "dev_loss_untuned": loss and 4.0}
    bucket.publish(empty, {"metrics": metrics}, "demo", "models", id)


def compare(bucket: Bucket, new: float, old: float) -> None:
    """What `mynah evaluate demo NEW` would write."""
    figures = {"dev_nats_per_character": new, "current_dev_nats_per_character": old}
    bucket.write(json.dumps(figures).encode(), "demo", "evaluations", NEW, f"{OLD}.json")


@pytest.fixture
def here(connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ThisMachine:
    """This machine, where OLD is current."""
    monkeypatch.chdir(tmp_path)  # `python -m mynah` finds the stand-in here
    monkeypatch.setattr(judging, "REQUESTS", 2)
    (tmp_path / "mynah").mkdir()
    (tmp_path / "mynah/__init__.py").touch()
    (tmp_path / "mynah/__main__.py").write_text(SERVER)
    faults(tmp_path)
    served.carry_out(connection, served.ask(connection, "demo", OLD, "promoted").id)
    return ThisMachine(connection, "demo")


def faults(folder: Path, **models: str) -> None:
    (folder / "FAULTS").write_text(json.dumps({OLD if name == "old" else NEW: fault for name, fault in models.items()}))


def now(connection: Connection) -> str:
    current = served.current(connection, "demo")
    assert current
    assert served.pending(connection, "demo") is None
    return current.model


def test_a_good_model_becomes_current_and_a_rollback_goes_back(
    bot: Bot, bucket: Bucket, connection: Connection, here: ThisMachine
) -> None:
    compare(bucket, 1.0, 1.01)
    done = promote(bot, bucket, connection, here)
    assert done.summary().startswith(f"{NEW} is demo's current model, before it {OLD}\n")
    assert "dev loss: 3.000 (perplexity 20.1), untuned 4.000" in done.summary()
    assert now(connection) == NEW
    assert promote(bot, bucket, connection, here).summary() == f"{NEW} is demo's current model already"

    assert rollback(bot, bucket, connection, here).model == OLD
    assert now(connection) == OLD
    assert "was refused before" in promote(bot, bucket, connection, here).summary()
    assert "rolled back from" in served.refused(connection, "demo")[NEW]
    with pytest.raises(MynahError, match="no model to go back to"):
        rollback(bot, bucket, connection, here)


def test_in_a_pool_a_model_is_asked_by_its_id_beside_the_current_one(
    bot: Bot, bucket: Bucket, connection: Connection, here: ThisMachine
) -> None:
    compare(bucket, 1.0, 1.01)
    bot = bot.model_copy(update={"promote": Promote(max_slowdown=1000)})  # the server's times are luck
    with scripted() as server:
        server.script = [choices("a text")]
        place = Pool(connection, "demo", server.address, ("sk-1",))
        assert promote(bot, bucket, connection, place).changed
        assert [body["model"] for body in server.asked] == [f"demo@{NEW}", "demo"] * 2
        assert now(connection) == NEW
        server.asked.clear()
        assert rollback(bot, bucket, connection, place).model == OLD
        assert [body["model"] for body in server.asked] == [f"demo@{OLD}"] * 2
        server.script = [(500, {})]
        with pytest.raises(MynahError, match=f"{NEW} is not promoted"):
            promote(bot, bucket, connection, place, NEW)
        assert now(connection) == OLD


@pytest.mark.parametrize(("fault", "says"), [("errs", "answers 500"), ("mute", "with no text at all")])
def test_a_model_that_is_no_good_is_refused(
    fault: str, says: str, bot: Bot, bucket: Bucket, connection: Connection, here: ThisMachine, tmp_path: Path
) -> None:
    compare(bucket, 1.0, 1.01)
    faults(tmp_path, new=fault)
    with pytest.raises(MynahError, match=f"{NEW} is not promoted, {OLD} goes on serving demo: .*{says}"):
        promote(bot, bucket, connection, here)
    assert now(connection) == OLD
    assert says in served.refused(connection, "demo")[NEW]


def test_a_server_that_does_not_start_is_not_held_against_the_model(
    bot: Bot, bucket: Bucket, connection: Connection, here: ThisMachine, tmp_path: Path
) -> None:
    compare(bucket, 1.0, 1.01)
    faults(tmp_path, new="does not load")
    with pytest.raises(MynahError, match=r"`mynah serve demo` ended \(exit 1\) .*: try again"):
        promote(bot, bucket, connection, here)
    assert now(connection) == OLD
    assert served.refused(connection, "demo") == {}


def test_a_promotion_that_was_killed_here_has_changed_nothing(
    bot: Bot, bucket: Bucket, connection: Connection, here: ThisMachine
) -> None:
    compare(bucket, 1.0, 1.01)
    served.ask(connection, "demo", NEW, "promoted")
    assert promote(bot, bucket, connection, here).changed
    assert now(connection) == NEW
    withdrawn = served.history(connection, "demo", 2)[1]
    assert withdrawn.withdrawn_why == "interrupted before the model was changed"


# --- fault 4: the losses


def test_a_model_that_learnt_nothing_is_refused(
    bot: Bot, bucket: Bucket, connection: Connection, here: ThisMachine, tmp_path: Path
) -> None:
    publish(bucket, tmp_path, "20260103T000000-nothing", 4.0)
    with pytest.raises(MynahError, match=r"dev loss, 4.000 .*, untuned 4.000 .*, is no better \(--force"):
        promote(bot, bucket, connection, here)
    assert set(served.refused(connection, "demo")) == {"20260103T000000-nothing"}


def test_a_model_that_predicts_the_same_texts_worse_is_refused_whatever_its_dataset(
    bot: Bot, bucket: Bucket, connection: Connection, here: ThisMachine
) -> None:
    compare(bucket, 1.10, 1.0)  # though its dev loss per token, on other texts, is lower
    with pytest.raises(MynahError, match=f"1.100 nats per character, {OLD} 1.000, is worse"):
        promote(bot, bucket, connection, here)
    assert set(served.refused(connection, "demo")) == {NEW}
    assert promote(bot, bucket, connection, here, NEW, force=True).changed
    assert served.refused(connection, "demo") == {}


def test_a_model_that_nobody_compared_is_neither_promoted_nor_refused(
    bot: Bot, bucket: Bucket, connection: Connection, here: ThisMachine
) -> None:
    with pytest.raises(MynahError, match=f"compared it with {OLD}, .*`mynah evaluate demo {NEW}` measures both"):
        promote(bot, bucket, connection, here)
    assert now(connection) == OLD
    assert served.refused(connection, "demo") == {}
    assert promote(bot, bucket, connection, here, force=True).checks["dev loss"].endswith(f"not compared with {OLD}")


@pytest.mark.parametrize(("new", "old"), [(1.0, 1.0), (1.019, 1.0)])
def test_a_model_that_is_no_worse_is_good(
    new: float, old: float, bot: Bot, bucket: Bucket, connection: Connection, here: ThisMachine
) -> None:
    compare(bucket, new, old)
    assert promote(bot, bucket, connection, here).changed


def test_without_dev_texts_the_answers_decide(
    bot: Bot, bucket: Bucket, connection: Connection, here: ThisMachine, tmp_path: Path
) -> None:
    publish(bucket, tmp_path, "20260103T000000-unmeasured", None)
    assert promote(bot, bucket, connection, here).checks["dev loss"] == "not measured: no dev texts"


def test_no_such_model(bot: Bot, bucket: Bucket, connection: Connection, here: ThisMachine) -> None:
    with pytest.raises(MynahError, match=r"demo/models/typo has no model.json"):
        promote(bot, bucket, connection, here, "typo")
    assert now(connection) == OLD


# --- a model that the values name


def test_prepare_notes_the_model_that_the_values_name(
    bucket: Bucket, connection: Connection, database_url: str, tmp_path: Path
) -> None:
    bucket.write(json.dumps({"previous": OLD, "refused": ["bad"]}).encode(), "other", "promotion.json")
    served.ask(connection, "demo", NEW, "promoted")
    env = {"DATABASE_URL": database_url, "MYNAH_BUCKET": bucket.url, "MYNAH_HOME": str(tmp_path), "MYNAH_USER": "helm"}
    settings = Settings.read({**os.environ, **env})
    for _ in range(2):
        prepare(settings, [f"demo={OLD}", f"other={NEW}", "third"])
    assert now(connection) == OLD
    (row, pending) = served.history(connection, "demo", 9)
    assert (row.who, row.why) == ("helm", "serve.model in the values")
    assert pending.withdrawn_why == f"serve.model in the values names another: {OLD}"
    assert [row.model for row in served.history(connection, "other", 9)] == [NEW, OLD]
    assert set(served.refused(connection, "other")) == {"bad"}
    assert served.history(connection, "third", 9) == []
    assert bucket.names("third", "models", "none") == ["no-model-yet"]
