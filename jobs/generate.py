"""Ask the served model for candidates, clean and judge them, and store them with their verdicts."""

from dataclasses import dataclass, replace
from typing import Any

import httpx

from mynah import database
from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.document import unpack
from mynah.errors import MynahError
from mynah.progress import progress
from mynah.quality import Copied, judge
from mynah.text import clean_generated
from mynah.tweet import weight

ASK = 20  # samples a request, at most: what the server batches well
TIMEOUT = httpx.Timeout(10, read=300)  # seconds


@dataclass(frozen=True)
class Generated:
    """What became of the texts the model wrote."""

    model: str
    written: int
    candidates: int
    approved: int
    rejected: int
    known: int

    def summary(self) -> str:
        return (
            f"model {self.model} wrote {self.written} texts: {self.candidates} candidates, {self.approved} approved, "
            f"{self.rejected} rejected, {self.known} known already"
        )


def generate(bot: Bot, bucket: Bucket, connection: database.Connection, endpoint: str) -> Generated:
    """Generate `samples` texts for each prompt through the HTTP endpoint and store them.

    The best `judge.approve_best` of them are approved at once. Raises MynahError where the endpoint gives no answer.
    """
    with httpx.Client(base_url=endpoint, timeout=TIMEOUT, transport=httpx.HTTPTransport(retries=2)) as client:
        model = serving_model(client, bot.name)
        copied = Copied(_training_texts(bucket, bot.name, model))
        texts: dict[str, database.NewTweet] = {}
        wanted = len(bot.generate.prompts) * bot.generate.samples
        with progress("generating", wanted) as advance:
            written = 0
            for prompt in bot.generate.prompts:
                for choice in _completions(client, bot, prompt):
                    written += 1
                    finished = choice["finish_reason"] == "stop"
                    raw = prompt + choice["text"]
                    text = clean_generated(raw, finished, bot.clean.newlines == "keep")
                    verdict = judge(text, bot.judge, copied, weight(text))
                    text = text or raw.strip()
                    if text:
                        texts[text] = database.NewTweet(
                            text=text,
                            state="rejected" if verdict.reason else "candidate",
                            reason=verdict.reason,
                            prompt=prompt,
                            model=model,
                            score=verdict.score,
                            scores=verdict.scores,
                        )
                    advance(written)
    known = database.known_texts(connection, bot.name, list(texts))
    new = [tweet for text, tweet in texts.items() if text not in known]
    candidates = sorted((t for t in new if t.state == "candidate"), key=lambda t: -(t.score or 0))
    rejected = [t for t in new if t.state == "rejected"]
    best = candidates[: bot.judge.approve_best]
    approved = [replace(tweet, state="approved") for tweet in best]
    database.add_tweets(connection, bot.name, [*approved, *candidates[len(best) :], *rejected])
    return Generated(model, written, len(candidates) - len(best), len(best), len(rejected), written - len(new))


def serving_model(client: httpx.Client, name: str) -> str:
    """The id of the model that the endpoint serves under `name`. Raises MynahError where it serves none."""
    try:
        response = client.get(f"/v2/models/{name}")
    except httpx.TransportError as error:
        raise MynahError(
            f"endpoint {client.base_url} gives no answer ({error}): start it with `mynah serve {name}`, "
            "or name another with --endpoint"
        ) from None
    if response.status_code == 404:
        raise MynahError(f"endpoint {client.base_url} serves no model named {name}")
    if response.is_error:
        raise MynahError(f"endpoint {client.base_url} answers {response.status_code}: {response.text[:200]}")
    return str((response.json().get("versions") or ["unknown"])[-1])


def _completions(client: httpx.Client, bot: Bot, prompt: str) -> list[dict[str, Any]]:
    ask = bot.generate
    choices: list[dict[str, Any]] = []
    while (missing := ask.samples - len(choices)) > 0:
        body = {
            "model": bot.name,
            "prompt": prompt,
            "n": min(missing, ASK),
            "max_tokens": ask.max_tokens,
            "temperature": ask.temperature,
            "top_p": ask.top_p,
            "top_k": ask.top_k,
            "repetition_penalty": ask.repetition_penalty,
        }
        if ask.seed is not None:  # a seed a request, so that two requests of one prompt differ
            body["seed"] = ask.seed + len(choices)
        try:
            response = client.post("/openai/v1/completions", json=body)
        except httpx.TransportError as error:
            raise MynahError(f"endpoint {client.base_url} broke off: {error or type(error).__name__}") from None
        if response.is_error:
            raise MynahError(f"endpoint {client.base_url} answers {response.status_code}: {response.text[:200]}")
        choices.extend(response.json()["choices"])
    return choices


def _training_texts(bucket: Bucket, bot: str, model: str) -> list[str]:
    """The texts that the served model was trained on; of the newest dataset where the bucket lacks that model."""
    manifest = bucket.manifest(bot, "models", model)
    dataset = manifest["dataset"] if manifest else next((m["id"] for m in bucket.manifests(bot, "datasets")), None)
    if dataset is None:
        return []
    return [
        document.text
        for split in ("train", "dev")
        for document in unpack(bucket.read(bot, "datasets", dataset, f"{split}.jsonl.zst"))
    ]
