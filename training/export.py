"""A run's checkpoint as a folder that `mynah serve` serves, for `mynah generate --from`."""

import json
from pathlib import Path

from mynah.bot import Bot
from mynah.bucket import MANIFESTS, utc_now
from mynah.settings import Settings


def export(bot: Bot, settings: Settings, run: str, folder: Path) -> str:
    """Write the model of RUN@STEP to `folder`; nothing where RUN or RUN@STEP is a published model. Returns its id.

    Raises MynahError where there is no such run or step.
    """
    from training.base_model import load_base, of_run

    with settings.connect() as connection:
        place, id = of_run(run, bot.name, settings.bucket, connection)
    if place[0] == "models":
        return id
    from training.publish import write_model

    write_model(*load_base(settings.bucket.address(bot.name, *place), settings.home / "models"), folder, bot.generate)
    manifest = {"id": id, "bot": bot.name, "created": utc_now()}
    (folder / MANIFESTS["models"]).write_text(json.dumps(manifest), encoding="utf-8")
    return id
