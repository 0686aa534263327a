"""What the jobs ask of the dataset that a model was trained on: its prompts, and how much of a text stands in it."""

import shutil
from typing import Any

from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.document import unpack
from mynah.errors import MynahError
from mynah.model_name import run_of
from mynah.recitation import FILE, Copied, Recitation
from mynah.settings import Settings


def dataset_of(bucket: Bucket, bot: str, model: str) -> dict[str, Any] | None:
    """The manifest of the dataset that a model was trained on; of the newest one where the bucket lacks that model.

    Raises MynahError where the dataset is gone: nobody knows then what the model was shown.
    """
    manifest = bucket.manifest(bot, "models", run_of(model))
    if manifest is None:
        return next(bucket.manifests(bot, "datasets"), None)
    id = manifest["dataset"]
    if (dataset := bucket.manifest(bot, "datasets", id)) is None:
        raise MynahError(
            f"model {model} was trained on {bucket.address(bot, 'datasets', id)}, which is not there any more: put it "
            f"back, or train anew with `mynah train {bot}`"
        )
    return dataset


def copied_from(settings: Settings, bot: str, model: str) -> Copied:
    """How much of a text stands in the texts that the model was trained on.

    A dataset's index is mapped into memory, from a copy in MYNAH_HOME where the bucket is elsewhere. Of one without, or
    with one that this machine cannot read, the texts are read.
    """
    bucket = settings.bucket
    dataset = dataset_of(bucket, bot, model)
    if dataset is None:
        return Copied.of(())
    if FILE in dataset["files"]:
        kept = settings.home / "datasets" / bot
        if not bucket.is_local:
            for other in kept.glob("*"):  # of a model that spoke before
                if other.name != dataset["id"]:
                    shutil.rmtree(other, ignore_errors=True)
        try:
            return Recitation(bucket.fetch(kept / dataset["id"], bot, "datasets", dataset["id"], {FILE}) / FILE).copied
        except ValueError:
            pass
    return Copied.of(
        document.text
        for split in ("train", "dev")
        for document in unpack(bucket.read(bot, "datasets", dataset["id"], f"{split}.jsonl.zst"))
    )


def prompts_of(bot: Bot, bucket: Bucket, model: str) -> list[str]:
    """The bot's prompts; where they are mined, the best of the dataset that the model was trained on.

    Raises MynahError where that dataset has none.
    """
    if bot.generate.prompts != "mined":
        return bot.generate.listed()
    dataset = dataset_of(bucket, bot.name, model)
    mined: list[str] = (dataset or {}).get("prompts", [])[: bot.generate.mined_prompts]
    if not mined:
        raise MynahError(
            f"bot {bot.name}: generate.prompts is mined, and the dataset of {model} has no prompts (it is of an older "
            f"version, or its texts have too little in common): list prompts, or run `mynah dataset {bot.name} "
            "--again` and train"
        )
    return mined
