"""What lies beside a published model."""

from collections.abc import Callable
from pathlib import Path

from mynah.bot import Bot, Generate
from mynah.bucket import Bucket
from mynah.settings import Settings
from tests.training.test_card import MANIFEST
from tests.training.test_events import HISTORY
from training.lease import taken
from training.model_folder import history_of, plot_of, publish, write_history
from training.run_record import recorded

ID = "20261127T120000-0123abcd"


def test_its_history_card_and_sampling_come_with_a_model(
    make_bot: Callable[..., Bot], settings_of: Callable[..., Settings], database_url: str, tmp_path: Path
):
    bucket, folder = Bucket(f"file://{tmp_path}/bucket"), tmp_path / "model"
    settings = settings_of(bucket, tmp_path / "home", database_url)
    bot = make_bot().model_copy(update={"generate": Generate(temperature=(0.7, 1.0))})
    facts = {key: MANIFEST[key] for key in ("dataset", "parameters", "metrics")}
    folder.mkdir()
    write_history(HISTORY, ID, "bird", folder)
    with (
        taken(settings, "bird/runs/0123abcd") as lease,
        recorded(settings, lease, "bird", ID, "prefer", "1", "tiny") as record,
    ):
        manifest = publish(folder, bot, settings, record, HISTORY, {**facts, "base": "smollm2-135m"})
    assert {"history.jsonl", "training.png", "README.md"} <= set(manifest["files"])
    assert manifest["generate"]["temperature"] == 0.85  # the model server takes one number
    assert history_of(bucket, "bird", ID) == HISTORY
    assert Path(plot_of(settings, "bird", ID)).read_bytes() == bucket.read("bird", "models", ID, "training.png")
