"""What the jobs ask of the dataset that a model was trained on."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from jobs.judging import prompts_to_try
from mynah.bot import Bot, FileSource, Generate
from mynah.bucket import Bucket
from mynah.document import Document, pack
from mynah.errors import MynahError
from mynah.recitation import FILE
from mynah.settings import Settings
from mynah.trained_on import copied_from, prompts_of

TEXT = "The early bird catches the worm."


@pytest.fixture
def bot() -> Bot:
    return Bot(name="demo", sources={"none": FileSource(url="none.txt")})


@pytest.fixture
def bucket(tmp_path: Path) -> Bucket:
    return Bucket(str(tmp_path / "bucket"))


@pytest.fixture
def publish(bucket: Bucket, tmp_path: Path) -> Callable[..., str]:
    """A dataset as 0.2.0 made it, and a model that was trained on it."""

    def publish(id: str, text: str, **more: object) -> str:
        folder = tmp_path / id
        folder.mkdir()
        (folder / "train.jsonl.zst").write_bytes(pack([Document(id="1", text=text)]))
        (folder / "dev.jsonl.zst").write_bytes(pack([]))
        bucket.publish(folder, more, "demo", "datasets", id)
        bucket.write(
            json.dumps({"id": f"model-{id}", "dataset": id}).encode(), "demo", "models", f"model-{id}", "model.json"
        )
        return f"model-{id}"

    return publish


def mining(bot: Bot, most: int) -> Bot:
    return bot.model_copy(update={"generate": Generate(prompts="mined", mined_prompts=most)})


def test_a_dataset_without_an_index_is_read(bucket: Bucket, tmp_path: Path, publish: Callable[..., str]) -> None:
    settings = Settings.read({"MYNAH_HOME": str(tmp_path), "MYNAH_BUCKET": bucket.url})
    assert copied_from(settings, "demo", "gone").share(TEXT) == 0.0
    older = publish("1", TEXT)
    publish("2", "Another text of five words.")
    assert copied_from(settings, "demo", older).share(TEXT.upper()) == 1.0
    assert copied_from(settings, "demo", "gone").share(TEXT) == 0.0
    bucket.delete("demo", "datasets", "1")
    with pytest.raises(
        MynahError, match="model model-1 was trained on .*/demo/datasets/1, which is not there any more"
    ):
        copied_from(settings, "demo", older)
    assert copied_from(settings, "demo", "gone").share("Another text of five words.") == 1.0, "the newest dataset's"


def test_an_index_that_cannot_be_read_here_is_passed_over(
    bucket: Bucket, tmp_path: Path, publish: Callable[..., str]
) -> None:
    settings = Settings.read({"MYNAH_HOME": str(tmp_path), "MYNAH_BUCKET": bucket.url})
    model = publish("1", TEXT)
    bucket.write(json.dumps({"version": 0, "byteorder": "big"}).encode().ljust(5000), "demo", "datasets", "1", FILE)
    manifest = bucket.manifest("demo", "datasets", "1")
    assert manifest
    manifest["files"][FILE] = {}
    bucket.write(json.dumps(manifest).encode(), "demo", "datasets", "1", "dataset.json")
    assert copied_from(settings, "demo", model).share(TEXT) == 1.0


def test_mined_prompts_are_those_of_the_dataset_the_model_was_trained_on(
    bot: Bot, bucket: Bucket, publish: Callable[..., str]
) -> None:
    older, newer = publish("1", TEXT, prompts=["The early", "bird", "worm"]), publish("2", TEXT, prompts=["A late"])
    bare = publish("3", TEXT)
    assert prompts_of(mining(bot, 2), bucket, older) == ["The early", "bird"]
    assert prompts_of(mining(bot, 2), bucket, newer) == ["A late"]
    assert prompts_of(bot, bucket, bare) == [""]
    with pytest.raises(
        MynahError, match=r"bot demo: generate.prompts is mined, and the dataset of model-3 has no prompts"
    ):
        prompts_of(mining(bot, 2), bucket, bare)
    assert prompts_to_try(mining(bot, 2)) == [""]


@pytest.mark.parametrize("wrong", [[], "mind", [1], {"a": 1}, None])
def test_prompts_are_texts_or_mined(wrong: object) -> None:
    with pytest.raises(ValidationError, match="neither a list of texts, with at least one, nor the word mined"):
        Generate(prompts=wrong)  # type: ignore[arg-type]
    assert Generate(prompts="mined").prompts == "mined"
