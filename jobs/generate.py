"""Ask the served model for candidates, clean and judge them, and store them with their verdicts."""

from dataclasses import dataclass, replace

from mynah import database, endpoint
from mynah.bot import Bot
from mynah.bucket import Bucket
from mynah.document import unpack
from mynah.progress import progress
from mynah.rules import Copied, judge
from mynah.text import clean_generated
from mynah.tweet import weight


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


def generate(bot: Bot, bucket: Bucket, connection: database.Connection, address: str) -> Generated:
    """Generate `samples` texts for each prompt through the endpoint at `address` and store them.

    The best `judge.approve_best` of them are approved at once. Raises MynahError where the endpoint gives no answer.
    """
    with endpoint.client(address) as client:
        model = endpoint.serving_model(client, bot.name)
        copied = Copied(_training_texts(bucket, bot.name, model))
        texts: dict[str, database.NewTweet] = {}
        wanted = len(bot.generate.prompts) * bot.generate.samples
        with progress("generating", wanted) as advance:
            written = 0
            for prompt in bot.generate.prompts:
                for choice in endpoint.completions(client, bot.name, prompt, bot.generate):
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
