"""`make screenshots`: the pictures of the Play page in docs/images, light and dark, on a desk and on a phone.

The server and its Postgres are real; what the bots say was written by hand, for no model is needed to draw a page. The
pictures are drawn in the typeface Inter where it is installed (Debian: fonts-inter).
"""

import os
import tempfile
from pathlib import Path

import httpx
from PIL import Image

from mynah.bot import Bot, FileSource, Generate
from mynah.database import served
from mynah.settings import Settings
from tests.serving.tweets.browser import browser
from tests.serving.tweets.conftest import MODEL, answered, replica

FOLDER = Path(__file__).parents[3] / "docs" / "images"
PROMPT = "Love is"
SIZES = {"desktop": (1200, 860), "phone": (360, 740)}
COLOURS = 200  # of a picture: fewer bytes, and nobody sees it
SAID = {
    "fortune": [
        ("positive", "Love is a small lamp that two people take turns carrying."),
        ("neutral", "Love is a library book: the longer you keep it, the more you owe."),
        ("positive", "Love is knowing all of their stories, and laughing at the right place every time."),
        ("negative", "Love is a game that nobody wins by keeping score. Everybody keeps score."),
        ("positive", "Love is the shortest distance between two kitchens."),
        ("neutral", "Love is patient, but it has begun to look at its watch."),
        ("positive", "Love is what remains when the map, the tent and the car keys are lost."),
    ],
    "jokes": [
        ("positive", "Love is sharing your fries. True love is ordering a second portion beforehand."),
        ("neutral", "Love is blind, which explains the curtains."),
        ("positive", "Love is like Wi-Fi: you cannot see it, but the whole house knows when it is gone."),
        ("negative", "Love is a two-way street, and somebody has parked across both lanes."),
        ("neutral", "Love is when she says “I'm fine” and you check the stove anyway."),
        ("positive", "Love is in the air. So is the neighbour's barbecue, and we are invited."),
    ],
}
ASKED = ("why do cats", "my grandmother always", "the secret of happiness is")
FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include>/etc/fonts/fonts.conf</include>
  <match target="pattern"><edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>
</fontconfig>
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "fonts.conf").write_text(FONTS, "utf-8")
        os.environ["FONTCONFIG_FILE"] = str(home / "fonts.conf")
        settings = Settings.read({"MYNAH_HOME": folder, "MYNAH_ENDPOINT": "http://127.0.0.1:9"})
        generate = Generate(prompts=["Love is", "A wise man", "Never"])
        source = FileSource(url="none.txt")
        bots = {name: Bot(name=name, sources={"none": source}, generate=generate) for name in SAID}
        with settings.connect() as connection:
            for bot, texts in SAID.items():
                served.carry_out(connection, served.ask(connection, bot, MODEL, "to be drawn").id)
                said = [{"text": text, "language": "en", "sentiment": sentiment} for sentiment, text in texts]
                answered(connection, bot, PROMPT, said)
            with replica(settings, bots) as api:
                draw(api)


def draw(api: httpx.Client) -> None:
    FOLDER.mkdir(exist_ok=True)
    with browser() as started:
        for size, (width, height) in SIZES.items():
            for colours in ("light", "dark"):
                context = started.new_context(
                    viewport={"width": width, "height": height}, device_scale_factor=2, color_scheme=colours
                )
                page = context.new_page()
                page.goto(f"{api.base_url}/play?bot=fortune&bot=jokes&prompt={PROMPT}")
                page.get_by_role("button", name="Like").first.click()
                page.locator(".like[aria-pressed=true]").wait_for()
                page.mouse.move(0, 0)
                path = FOLDER / f"play-{size}-{colours}.png"
                page.screenshot(path=path)
                with Image.open(path) as picture:
                    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
                print(f"{path.relative_to(Path.cwd())}  {path.stat().st_size / 1000:.0f} kB")
                context.close()


if __name__ == "__main__":
    main()
