"""Ask the served model for candidates, clean and judge them, and store them with their verdicts."""

import sys
from dataclasses import dataclass, replace

from mynah import endpoint
from mynah.bot import Bot
from mynah.database import served
from mynah.database.tweets import NewTweet, add_tweets, known_texts
from mynah.progress import progress
from mynah.recitation import Copied
from mynah.rules import judge
from mynah.settings import Settings
from mynah.text import clean_generated, fold_spaces
from mynah.trained_on import copied_from, prompts_of


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


def generate(bot: Bot, settings: Settings, address: str, asleep: float = 0) -> Generated:
    """Generate `samples` texts for each prompt through the endpoint at `address` and store them.

    The best `judge.approve_best` of them are approved at once. No connection to Postgres is held meanwhile. An endpoint
    that is not there is waited for, for `asleep` seconds. Raises MynahError where it gives no answer.
    """
    with endpoint.client(address, settings.api_keys) as client:
        model = endpoint.serving_model(client, bot.name, endpoint.WAIT, asleep)
        with settings.connect() as connection:  # before the model works for minutes: is there a database at all?
            current = served.current(connection, bot.name)
        if current and model == endpoint.UNTOLD:
            model = current.model
        if current and current.model != model:
            print(
                f"{address} serves {model}, and the current model of {bot.name} is {current.model}: the texts are "
                f"stored as {model}'s",
                file=sys.stderr,
            )
        prompts = prompts_of(bot, settings.bucket, model)
        copied = copied_from(settings, bot.name, model)
        texts: dict[str, NewTweet] = {}  # by the text with its white space folded: what differs in no more is the same
        wanted = len(prompts) * bot.generate.samples
        written = 0
        with progress("generating", wanted) as advance:
            for prompt in prompts:
                for completion in endpoint.completions(client, bot.name, prompt, bot.generate, asleep):
                    written += 1
                    tweet = _judged(bot, prompt, completion, model, copied)
                    if tweet.text:
                        texts.setdefault(fold_spaces(tweet.text), tweet)
                    advance(written)
    with settings.connect() as connection:
        known = known_texts(connection, bot.name, [tweet.text for tweet in texts.values()])
        new = [tweet for tweet in texts.values() if tweet.text not in known]
        candidates = sorted((t for t in new if t.state == "candidate"), key=lambda t: -(t.score or 0))
        rejected = [t for t in new if t.state == "rejected"]
        best, others = candidates[: bot.judge.approve_best], candidates[bot.judge.approve_best :]
        add_tweets(connection, bot.name, [*(replace(t, state="approved") for t in best), *others, *rejected])
    return Generated(model, written, len(others), len(best), len(rejected), written - len(new))


def _judged(bot: Bot, prompt: str, completion: endpoint.Completion, model: str, copied: Copied) -> NewTweet:
    """A completion as it is stored; its text is "" where nothing was written."""
    raw = prompt + completion.text
    text = clean_generated(raw, completion.finished, bot.clean.newlines == "keep")
    verdict = judge(text, bot.judge, copied)
    return NewTweet(
        text=text or raw.strip(),
        state="rejected" if verdict.rejection else "candidate",
        reason=verdict.rejection.reason if verdict.rejection else None,
        prompt=prompt,
        model=model,
        sampling=completion.sampling,
        seed=completion.seed,
        score=verdict.score,
        scores=verdict.scores,
    )
