"""Ask a model for samples before it speaks, and refuse it where it recites its training texts."""

from collections.abc import Callable, Iterator, Sequence

import httpx

from jobs.judging import JudgedBad, prompts_to_try
from mynah import endpoint
from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.progress import progress
from mynah.recitation import Copied
from mynah.sampled import SPAN, Sampled, figures, samples_of, write_samples
from mynah.text import clean_generated

CopiedFrom = Callable[[str], Copied]
"""How much of a text stands in what the model with this id was trained on."""


def judge_samples(
    bot: Bot,
    bucket: Bucket,
    model: str,
    address: str,
    name: str,
    copied_from: CopiedFrom,
    current: str | None = None,
    keys: Sequence[str] = (),
    force: bool = False,
) -> dict[str, str]:
    """Ask the model at `address`, where it is called `name`, for promote.samples texts; what they say, by name.

    The figures are written beside the model's evaluations. Those of the `current` one, of its own promotion, are only
    shown. Raises JudgedBad where more than promote.max_recited of the texts recite, and MynahError where the endpoint
    breaks off, which is no verdict. `force` passes over what they say.
    """
    if not bot.promote.samples:
        return {"recites": "not judged: promote.samples is 0"}
    copied = copied_from(model)
    with endpoint.client(address, keys) as client:
        sampled = figures(list(_samples(client, bot, name)), copied)
    write_samples(bucket, bot.name, model, sampled)
    beside = samples_of(bucket, bot.name, current) if current else None
    said = verdict(sampled, bot.promote.max_recited)
    if sampled.share_recited > bot.promote.max_recited and not force:
        raise JudgedBad(f"it recites: {said}, such as “{sampled.reciting[0]}” (--force passes over that)")
    if beside:
        said += f"; {current}: {beside.recited} of {beside.texts}"
    return {"recites": said, "samples": sampled.summary()}


def verdict(sampled: Sampled, most: float) -> str:
    """How much was recited, with the rule beside it."""
    return (
        f"{sampled.recited} of {sampled.texts} texts copy at least {SPAN} words in a row, or all of a training text; "
        f"at most {most:.0%} may (promote.max_recited); the longest copied span has {sampled.longest} words"
    )


def _samples(client: httpx.Client, bot: Bot, name: str) -> Iterator[tuple[str, bool]]:
    """promote.samples cleaned texts, spread over the prompts, and whether the model ended each.

    Their seeds are fixed, so that the same model is judged by the same texts.
    """
    prompts = prompts_to_try(bot)[: bot.promote.samples]
    seed, done = 0, 0
    with progress("asking for samples", bot.promote.samples) as advance:
        for place, prompt in enumerate(prompts):
            count = len(range(place, bot.promote.samples, len(prompts)))
            ask = bot.generate.model_copy(update={"samples": count, "seed": seed})
            seed += count
            for completion in endpoint.completions(client, name, prompt, ask):
                done += 1
                advance(done)
                text = clean_generated(prompt + completion.text, completion.finished, bot.clean.newlines == "keep")
                yield text, completion.finished
