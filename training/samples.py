"""What the model writes while it learns: the same prompts and the same seed each time, so that one sees it learn."""

from collections.abc import Sequence
from itertools import cycle, islice
from typing import TYPE_CHECKING, TypedDict

from mynah.bot import Bot, Generate
from mynah.bucket import Bucket
from mynah.text import storable

if TYPE_CHECKING:
    from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast


class Sample(TypedDict):
    """A text, and the prompt that it begins with."""

    prompt: str
    text: str


def sample_prompts(bot: Bot, bucket: Bucket, dataset: str) -> tuple[str, ...]:
    """A prompt for each sample: the bot's in turn. Where they are mined and the dataset has none, the model begins."""
    prompts = bot.generate.listed()
    if bot.generate.prompts == "mined":
        mined = (bucket.manifest(bot.name, "datasets", dataset) or {}).get("prompts", [])
        prompts = mined[: bot.generate.mined_prompts] or [""]
    return tuple(map(bot.generate.cased, islice(cycle(prompts), bot.train.samples)))


def write_samples(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    prompts: Sequence[str],
    generate: Generate,
    seed: int,
) -> list[Sample]:
    """A text for each prompt, sampled as the bot samples. It sets torch's seed. `tokenizer` begins with BOS."""
    import torch

    torch.manual_seed(seed)
    side, tokenizer.padding_side = tokenizer.padding_side, "left"
    asked = tokenizer(list(prompts), return_tensors="pt", padding=True, return_token_type_ids=False).to(model.device)
    tokenizer.padding_side = side
    with torch.no_grad():
        config = generation_config(tokenizer, generate)
        written = model.generate(**asked, generation_config=config, use_cache=True)  # type: ignore[operator]
    texts = tokenizer.batch_decode(written, skip_special_tokens=True)
    return [Sample(prompt=prompt, text=storable(text)) for prompt, text in zip(prompts, texts, strict=True)]


def generation_config(tokenizer: "PreTrainedTokenizerFast", generate: Generate) -> "GenerationConfig":
    """The bot's sampling, in transformers' words."""
    from transformers import GenerationConfig

    return GenerationConfig(
        do_sample=True,
        max_new_tokens=generate.max_tokens,
        temperature=generate.middle_temperature,
        top_p=generate.top_p,
        top_k=generate.top_k,
        repetition_penalty=generate.repetition_penalty,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
