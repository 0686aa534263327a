"""Ask the served model for candidates, clean and judge them, and store them with their verdicts.

Each request's texts are stored as they come, with how far the generation has come: one that is killed is gone on with
by the next that asks for the same.
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from uuid import UUID, uuid4

from mynah import endpoint, ranking
from mynah.bot import Bot
from mynah.bot.generate import Prompt
from mynah.database import generations, near, served
from mynah.database.connection import Connection
from mynah.database.generations import Generation
from mynah.database.tweets import NewTweet, add_tweets, known_texts
from mynah.endpoint import ASK, Completion
from mynah.errors import MynahError, UsageError
from mynah.liking import Liking
from mynah.progress import progress
from mynah.recitation import Copied
from mynah.rules import judge
from mynah.settings import Settings
from mynah.text import clean_generated
from mynah.toxicity import MEASURED
from mynah.trained_on import copied_from, prompts_of

TRIES = 50  # texts for each good one that is wanted, where no limit is given


@dataclass(frozen=True)
class Generated:
    """What became of the texts the model wrote."""

    model: str
    written: int
    candidates: int
    approved: int
    rejected: int
    known: int
    generation: int
    before: int = 0
    """How many of the texts an earlier run had stored already."""
    good: int | None = None
    """How many good ones were wanted; None: a number of texts was."""

    def summary(self) -> str:
        said = (
            f"model {self.model} wrote {self.written} texts: {self.candidates} candidates, {self.approved} approved, "
            f"{self.rejected} rejected, {self.known} known already"
        )
        if self.before:
            said += f"; an earlier run, which was cut off, had stored {self.before} of them"
        if self.good and self.candidates + self.approved < self.good:
            said += f"; {self.good} good ones were wanted, and the limit is reached"
        return said


def generate(
    bot: Bot,
    settings: Settings,
    address: str,
    asleep: float = 0,
    prompts: Sequence[Prompt] | None = None,
    good: int | None = None,
    limit: int | None = None,
) -> Generated:
    """Generate texts for each prompt through the endpoint at `address`, and store them.

    `prompts` instead of the bot file's. `good`: go round the prompts until so many new texts are rejected by no rule.
    `limit`: the most texts that are written. The best `judge.approve_best` are approved at the end. No connection to
    Postgres is held while the model writes. An endpoint that is not there is waited for, for `asleep` seconds. Raises
    MynahError where it gives no answer; what was stored by then stays.
    """
    for language in bot.judge.languages:
        if bot.judge.max_toxicity and language not in MEASURED:
            print(f"judge: there is no list of coarse words for {language}: none is applied", file=sys.stderr)
    holder = uuid4()
    with endpoint.client(address, settings.api_keys) as client:
        model = endpoint.serving_model(client, bot.name, endpoint.WAIT, asleep)
        with settings.connect() as connection:  # before the model works for minutes: is there a database at all?
            model = _as_stored(connection, bot.name, model, address)
            asked = list(prompts) if prompts else _prompts(bot, settings, model)
            if good and limit is None:
                limit = good * TRIES
            one = generations.begin(
                connection, bot.name, model, _asked(bot, asked, good, limit), bot.generate.seed, holder
            )
            near.fill(connection)
            liking = ranking.liking(connection, bot.name)
        copied = copied_from(settings, bot.name, model)
        written, kept = one.requested, one.good
        total = good or min(limit or sys.maxsize, sum(prompt.samples for prompt in asked))
        with progress("good texts" if good else "generating", total) as advance:
            for prompt, samples in _requests(asked, bool(good), limit, one.requested):
                if good and kept >= good:
                    break
                ask = bot.generate.model_copy(
                    update={
                        "samples": samples,
                        "seed": None if one.first_seed is None else one.first_seed + written,
                    }
                )
                came = list(endpoint.completions(client, bot.name, bot.generate.cased(prompt), ask, asleep))
                with settings.connect() as connection:
                    kept += _store(connection, bot, one, holder, prompt, came, copied, liking)
                written += len(came)
                advance(min(kept, total) if good else written, f"{kept} good of {written}" if good else "")
    with settings.connect() as connection:
        near.fill(connection)
        ranking.refresh(connection, bot.name)
        ended = generations.end(connection, one.id, holder, bot.judge.approve_best, bot.judge.approve_above)
    if ended is None:
        raise _taken_over(bot.name)
    done, approved = ended
    return Generated(
        model=model,
        written=done.requested,
        candidates=done.good - approved,
        approved=approved,
        rejected=done.rejected,
        known=done.known,
        generation=one.id,
        before=one.requested,
        good=good,
    )


def read_prompts(file: str, samples: int) -> list[Prompt]:
    """The prompts of a file, one a line, each once; blank lines are none. Raises UsageError with one line."""
    try:
        lines = Path(file).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--prompts {file} cannot be read: {error}") from None
    prompts = [Prompt(prompt=line, samples=samples) for line in dict.fromkeys(map(str.strip, lines)) if line]
    if not prompts:
        raise UsageError(f"--prompts {file} has no prompt: write one a line")
    return prompts


def _as_stored(connection: Connection, bot: str, model: str, address: str) -> str:
    """The id that the texts are stored under."""
    current = served.current(connection, bot)
    if current and model == endpoint.UNTOLD:
        model = current.model
    if current and current.model != model:
        print(
            f"{address} serves {model}, and the current model of {bot} is {current.model}: the texts are stored as "
            f"{model}'s",
            file=sys.stderr,
        )
    return model


def _prompts(bot: Bot, settings: Settings, model: str) -> list[Prompt]:
    """The bot file's, each with its number of samples."""
    own = {each.prompt: each.samples for each in bot.generate.prompts if isinstance(each, Prompt)}
    return [
        Prompt(prompt=prompt, samples=own.get(prompt, bot.generate.samples))
        for prompt in prompts_of(bot, settings.bucket, model)
    ]


def _asked(bot: Bot, prompts: list[Prompt], good: int | None, limit: int | None) -> dict[str, object]:
    """What makes two generations the same."""
    sampling = bot.generate.model_dump(mode="json", include=endpoint.SAMPLING | {"seed", "case"})
    return {**sampling, "prompts": [[each.prompt, each.samples] for each in prompts], "good": good, "limit": limit}


def _requests(prompts: list[Prompt], rounds: bool, limit: int | None, done: int) -> Iterator[tuple[str, int]]:
    """The requests of a generation, prompt and samples, always the same ones, without the first `done` texts."""
    end = 0
    while True:
        for prompt in prompts:
            for begin in range(0, prompt.samples, ASK):
                samples = min(ASK, prompt.samples - begin)
                if limit is not None:
                    samples = min(samples, limit - end)
                if not samples:
                    return
                end += samples
                if end > done:
                    yield prompt.prompt, min(samples, end - done)
        if not rounds:
            return


def _store(
    connection: Connection,
    bot: Bot,
    one: Generation,
    holder: UUID,
    prompt: str,
    came: list[Completion],
    copied: Copied,
    liking: Liking | None,
) -> int:
    """Judge and store the texts of one request, all or none of them; returns how many are good. Raises MynahError."""
    good = rejected = known = 0
    with connection.transaction():
        for completion in came:
            tweet = _judged(connection, bot, prompt, completion, one, copied, liking)
            if tweet is None or not add_tweets(connection, bot.name, [tweet]):
                known += 1
            elif tweet.state == "rejected":
                rejected += 1
            else:
                near.fill(connection, 1)  # the next may be near it
                good += 1
        if not generations.advance(connection, one.id, holder, len(came), good, rejected, known):
            raise _taken_over(bot.name)
    return good


def _taken_over(bot: str) -> MynahError:
    return MynahError(f"another `mynah generate {bot}` asks for the same, and went on with it")


def _judged(
    connection: Connection,
    bot: Bot,
    prompt: str,
    completion: Completion,
    one: Generation,
    copied: Copied,
    liking: Liking | None,
) -> NewTweet | None:
    """A completion as it is stored; None where it says nothing, or nothing new."""
    raw = bot.generate.cased(prompt) + completion.text
    text = clean_generated(
        raw,
        completion.finished,
        bot.clean.newlines == "keep",
        bot.judge.unfinished,
        bot.generate.line_break,
    )
    stored = text or raw.strip()
    if not stored or known_texts(connection, bot.name, [stored]):
        return None
    verdict = judge(
        text,
        bot.judge,
        copied,
        near.nearest(connection, text) if text else None,
        {account.kind for account in bot.accounts.values()},
    )
    score, scores = verdict.score, verdict.scores
    if liking and not verdict.rejection:
        (score,) = liking.scores([text])
        scores = {"judged": verdict.score, **scores, "liked": score}
    return NewTweet(
        text=stored,
        state="rejected" if verdict.rejection else "candidate",
        reason=verdict.rejection.reason if verdict.rejection else None,
        prompt=prompt,
        model=one.model,
        sampling=completion.sampling,
        seed=completion.seed,
        score=score,
        scores=scores,
        broken=[asdict(rejection) for rejection in verdict.rejections],
        generation_id=one.id,
    )
