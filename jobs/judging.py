"""Judge a model before it speaks: by what its training measured, and by what it answers."""

import math
import statistics
import time
from collections.abc import Sequence
from typing import Any

import httpx

from mynah import endpoint
from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.errors import MynahError
from mynah.evaluations import evaluation

REQUESTS = 10  # to the new model and, in turn, to the one that serves
TOKENS = 16  # per request
WORSE = 1.02  # how much higher the loss of a trained model may be than the current one's, on the same texts
ANSWER = httpx.Timeout(5, read=60)  # seconds
REACHED_WITHIN = 60.0  # seconds: a Service may know its pod a moment later than the pod is ready
BREAKS = 3  # how often a server may hang up on one prompt: once may be its machine's fault
PAUSE = 1.0  # seconds between two tries


class JudgedBad(MynahError):
    """The model itself is no good. It is refused, and none but a person who names it tries it again."""


def judge_loss(bucket: Bucket, bot: Bot, manifest: dict[str, Any], current: str | None, force: bool) -> str:
    """What the dev losses say of the model with this manifest; `force` passes over what they say against it.

    Raises JudgedBad where it has learnt nothing, or predicts the dev texts worse than `current`, by more than the
    method that made it is allowed; MynahError where nobody has compared the two.
    """
    id, metrics = manifest["id"], manifest["metrics"]
    loss, untuned = metrics.get("dev_loss"), metrics.get("dev_loss_untuned")
    if loss is None or untuned is None:
        return "not measured: no dev texts"
    said = f"{_loss(loss)}, untuned {_loss(untuned)}"
    if loss >= untuned and not force:
        raise JudgedBad(f"its dev loss, {said}, is no better (--force passes over that)")
    if current is None:
        return said
    figures = evaluation(bucket, bot.name, id, current)
    if figures is None:
        if force:
            return f"{said}; not compared with {current}"
        raise MynahError(
            f"{id} is not promoted: nobody has compared it with {current}, which serves {bot.name} now; "
            f"`mynah evaluate {bot.name} {id}` measures both (--force passes over that)"
        )
    new, old = figures["dev_nats_per_character"], figures["current_dev_nats_per_character"]
    said += f"; {new:.3f} nats per character, {current} {old:.3f}"
    allowed, rule = _allowed(bot, manifest.get("method"))
    if new > old * allowed and not force:
        raise JudgedBad(f"its dev loss, {said}, is worse{rule} (--force passes over that)")
    return said


def _allowed(bot: Bot, method: str | None) -> tuple[float, str]:
    """How many times as high as the current model's the loss may be, and the key that says so.

    What learns a curator's taste, or is smaller, gives some of it up.
    """
    if method in ("prefer", "distill"):
        most = bot.prefer.max_loss if method == "prefer" else bot.distill.max_loss
        return most, f" than {method}.max_loss ({most:g} times) allows"
    return WORSE, ""


def _loss(nats: float) -> str:
    return f"{nats:.3f} (perplexity {math.exp(nats):.1f})"


def judge_answers(
    bot: Bot, new: str, old: str | None, keys: Sequence[str] = (), name: str | None = None
) -> dict[str, str]:
    """Ask the model at the address `new` in turn with the one that serves at `old`; what was found out, by name.

    `name` is what the new one is called there, where that is not the bot's name.
    `old` is only a measure of speed: what it answers, or that it does not, is nothing against the new one. Without
    it, speed is not judged. Raises JudgedBad where the new model errs, says nothing or is too slow; MynahError where
    it cannot be reached.
    """
    seconds: list[float] = []
    usual: list[float] = []
    texts, beside = 0, ""
    prompts = prompts_to_try(bot)
    with client_of(new, keys) as client, client_of(old or new, keys) as old_client:
        for number in range(REQUESTS):
            prompt = prompts[number % len(prompts)]
            took, text = ask(client, name or bot.name, prompt)
            seconds.append(took)
            texts += bool(text)
            if old:
                try:
                    usual.append(ask(old_client, bot.name, prompt, patience=0)[0])
                except MynahError as error:
                    old, usual, beside = None, [], f"; not compared, the model that serves now fails: {error}"
    if not texts:
        raise JudgedBad(f"it answers {REQUESTS} prompts with no text at all")
    slow = statistics.median(seconds)
    if usual:
        now = statistics.median(usual)
        beside = f", now {now:.3f} s"
        if slow > now * bot.promote.max_slowdown:
            raise JudgedBad(
                f"it takes {slow:.3f} s for {TOKENS} tokens and the model that serves {now:.3f} s: "
                f"more than promote.max_slowdown ({bot.promote.max_slowdown:g}) times as long"
            )
    return {
        "answers": f"{REQUESTS} of {REQUESTS}",
        "median latency": f"{slow:.3f} s for {TOKENS} tokens{beside}",
    }


def prompts_to_try(bot: Bot) -> list[str]:
    """What a model is asked to go on from, to see that it does: of mined prompts, which belong to a dataset, none."""
    return [bot.generate.cased(prompt) for prompt in bot.generate.listed()] or [""]


def client_of(address: str, keys: Sequence[str]) -> httpx.Client:
    """A client that waits for an answer no longer than a judge does, and asks again itself."""
    return endpoint.client(address, keys, httpx.Timeout(ANSWER), retries=0)


def ask(client: httpx.Client, model: str, prompt: str, patience: float | None = None) -> tuple[float, str]:
    """One completion: the seconds it took, and the text.

    A server that cannot be reached, or asks to come again, is asked again for `patience` seconds (REACHED_WITHIN); then
    MynahError. So where it wants another key. Raises JudgedBad where it answers with an error, with no completion, not
    in time, or hangs up again and again.
    """
    where, body = str(client.base_url), {"model": model, "prompt": [prompt], "max_tokens": TOKENS}
    patience = REACHED_WITHIN if patience is None else patience
    give_up = time.monotonic() + patience
    breaks = 0
    while True:
        begin = time.monotonic()
        try:
            response = client.post("/openai/v1/completions", json=body)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            why = f"{where} cannot be reached: {error or type(error).__name__}"
        except httpx.ReadTimeout:
            raise JudgedBad(f"{where} gives no answer within {ANSWER.read:.0f} s") from None
        except httpx.TransportError as error:
            why = f"{where} breaks off: {error or type(error).__name__}"
            breaks += 1
            if breaks == BREAKS:
                raise JudgedBad(why) from None
            give_up = time.monotonic() + patience  # it may have to start again
        else:
            why = f"{where} answers {response.status_code}: {response.text[:200]}"
            if response.status_code not in (429, 503):
                break
        if time.monotonic() >= give_up:
            raise MynahError(why)
        time.sleep(PAUSE)
    took = time.monotonic() - begin
    if response.status_code == 401:  # whoever asks is to blame, not the model
        raise MynahError(f"{why}: set MYNAH_API_KEY to the server's key")
    if response.is_error:
        raise JudgedBad(why)
    try:
        return took, str(response.json()["choices"][0]["text"]).strip()
    except (ValueError, LookupError, TypeError):
        raise JudgedBad(f"{where} answers with no completion: {response.text[:200]}") from None
