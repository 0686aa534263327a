"""Which prompts a model is asked with while it learns."""

from collections.abc import Callable
from pathlib import Path

from mynah.bot import Bot, Generate
from mynah.bucket import Bucket
from training.samples import sample_prompts


def test_they_are_the_bots_in_turn_as_it_asks_with_them(make_bot: Callable[..., Bot], tmp_path: Path):
    def asked(**generate: object) -> tuple[str, ...]:
        bot = make_bot(samples=3).model_copy(update={"generate": Generate.model_validate(generate)})
        return sample_prompts(bot, bucket, "1")

    bucket = Bucket(f"file://{tmp_path}/bucket")
    assert asked() == ("", "", "")
    assert asked(prompts=["A crow", {"prompt": "My parrot", "samples": 7}]) == ("A crow", "My parrot", "A crow")
    assert asked(prompts=["A crow"], case="upper") == ("A CROW",) * 3
    assert asked(prompts="mined") == ("", "", "")
    (tmp_path / "dataset").mkdir()
    bucket.publish(tmp_path / "dataset", {"prompts": ["The news", "A song"]}, "bird", "datasets", "1")
    assert asked(prompts="mined", case="lower") == ("the news", "a song", "the news")
    assert asked(prompts="mined", mined_prompts=1) == ("The news",) * 3
