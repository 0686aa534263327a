"""Who answers a prompt: Postgres, where its texts stand; else a model server, which is asked once.

The process that claims an answer writes it, renews its claim while it does, and tells in the same row how far it is;
every replica reads it there. A claim whose process was killed runs out, and whoever asks next takes it.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from typing import Any
from uuid import UUID, uuid4

from mynah import endpoint
from mynah.bot import Bot
from mynah.database import prompts
from mynah.database.connection import Connection
from mynah.database.prompts import Answer, canonical
from mynah.database.wanted import wanted
from mynah.errors import MynahError
from mynah.recitation import Copied
from mynah.rules import judge
from mynah.settings import Settings
from mynah.text import clean_generated, fold_spaces
from mynah.trained_on import copied_from
from serving.tweets.asked import Asked
from serving.tweets.sentiment import felt

logger = logging.getLogger("serving")

WRITERS = 4  # answers that one replica writes at a time; the others wait their turn
QUEUE = 200  # answers that are written or wait here, from which on no more are begun
TELL = 0.5  # seconds between two renewals of a claim
LOOK = 0.2  # seconds between two looks of whoever waits for an answer that is being written
COME_AGAIN = 2  # seconds after which to ask again, of what is not written yet

Connect = Callable[[], AbstractContextManager[Connection]]


class NoModel(MynahError):
    """The bot has no current model, or no server for it: nobody can write."""


class Busy(MynahError):
    """This replica has enough to do."""


class Stopped(MynahError):
    """Whoever asked does not want the answer any more, or another process writes it."""


class Desk:
    """Answers for some bots."""

    def __init__(
        self, settings: Settings, bots: Mapping[str, Bot], connect: Connect, allow: Callable[[], None] = lambda: None
    ) -> None:
        """`connect` lends a connection for a moment; `allow` is called before an answer is written, and may refuse."""
        self.bots = bots
        self._allow = allow
        self._settings = settings
        self._connect = connect
        self._holder = uuid4()
        self._writers = ThreadPoolExecutor(WRITERS, "writer")
        self._copied: dict[tuple[str, str], Copied] = {}
        self._fetching = threading.Lock()
        self._lock = threading.Lock()
        self._claims: set[_Claim] = set()
        self.ending = False
        """Whether this replica was told to end: it takes on nothing that another has left."""

    def ask(self, asked: Asked, by_operator: bool = False) -> Answer:
        """The answer as it is now; where there is none, this process begins to write it.

        What an operator asks is no visit, and is suggested to others. Raises NoModel where nobody can write it, Busy,
        and what `allow` raises.
        """
        sampling = canonical(asked.sampling.model_dump())
        with self._connect() as connection:
            find = prompts.show if by_operator else prompts.visit
            found = find(connection, asked.bot, asked.key, sampling)
            if found.model is None:
                raise NoModel(f"{asked.bot} has no model yet: promote one")
            if found.answer and found.answer.state == "written":
                return found.answer
            if self._has_no_server(asked.bot):
                raise NoModel(f"{asked.bot} has no model server (serve.mode none): it answers known prompts alone")
            if len(self._claims) >= QUEUE:
                raise Busy(f"{len(self._claims)} answers are written or wait: ask again in a moment")
            if not found.answer or (found.answer.state == "failed" and found.answer.why != prompts.LEFT):
                self._allow()
            id = prompts.claim(connection, found.prompt_id, found.model, sampling, self._holder)
            if id:
                self._begin(id, asked, found.model)
                answer = prompts.answer(connection, asked.bot, id)
            else:  # somebody else is at it, or has just ended
                answer = prompts.answer_to(connection, asked.bot, found.prompt_id, found.model, sampling)
                if answer and answer.state == "writing":
                    prompts.join(connection, answer.id)
        assert answer is not None  # noqa: S101 — answers are never deleted by themselves
        return answer

    def leave(self, bot: str, id: UUID) -> bool:
        """One of those who wait for an answer goes; without any, it is ended. False where it is not being written."""
        with self._connect() as connection:
            return prompts.leave(connection, bot, id)

    def look(self, bot: str, id: UUID) -> Answer | None:
        """An answer as it is now; None where the bot has none of this id."""
        with self._connect() as connection:
            return prompts.answer(connection, bot, id)

    @property
    def busy(self) -> bool:
        """Whether something is written here, or waits to be."""
        return bool(self._claims)

    def stop(self) -> None:
        """Begin no more, and let go of what is being written: whoever asks again, elsewhere, takes it."""
        self._writers.shutdown(wait=False, cancel_futures=True)
        with self._connect() as connection:
            prompts.let_go(connection, self._holder)
        with self._lock:
            for claim in self._claims:
                claim.lost = True
                claim.end()

    def _has_no_server(self, bot: str) -> bool:
        """On a cluster each bot has an address of its own, and one of mode none has a server beside its jobs alone."""
        return self.bots[bot].serve.mode == "none" and "{bot}" in self._settings.endpoint

    def _begin(self, id: UUID, asked: Asked, model: str) -> None:
        claim = _Claim(self._connect, id, self._holder)
        with self._lock:
            self._claims.add(claim)
        claim.begin()  # it may wait for a writer for long
        self._writers.submit(self._write, id, asked, model, claim).add_done_callback(lambda _: self._end(claim))

    def _end(self, claim: "_Claim") -> None:
        claim.end()
        with self._lock:
            self._claims.discard(claim)

    def _write(self, id: UUID, asked: Asked, model: str, claim: "_Claim") -> None:
        bot = self.bots[asked.bot]
        try:
            with wanted(self._settings.connect, bot.name, "play"):
                texts = felt(self._texts(bot, asked, model, claim), bot.clean.languages)
            with self._connect() as connection:
                prompts.write(connection, id, self._holder, texts)
        except Stopped as error:
            self._fail(id, str(error))
        except MynahError as error:
            logger.warning("%s: %s", bot.name, error)
            self._fail(id, str(error))
        except Exception:
            logger.exception("%s: answer %s", bot.name, id)
            self._fail(id, "something went wrong: the log of the tweet API tells what")

    def _fail(self, id: UUID, why: str) -> None:
        try:
            with self._connect() as connection:
                prompts.fail(connection, id, self._holder, why)
        except Exception as error:  # the claim runs out by itself
            logger.warning("answer %s: %s", id, error)

    def _texts(self, bot: Bot, asked: Asked, model: str, claim: "_Claim") -> list[dict[str, Any]]:
        """The texts that the judge lets pass, the best first."""
        asleep = endpoint.AWAKE_WITHIN if bot.serve.sleeps else 0.0
        claim.phase = "waking the model"
        with endpoint.client(self._settings.endpoint_of(bot.name), self._settings.api_keys) as client:
            client.event_hooks = {"request": [lambda _: claim.check()]}  # also while it waits for one that sleeps
            serves = endpoint.serving_model(client, bot.name, endpoint.WAIT, asleep)
            if serves not in (model, endpoint.UNTOLD):
                raise MynahError(f"{bot.name} is changing its model from {serves} to {model}: ask again in a moment")
            claim.phase = "writing"
            copied = self._index(bot.name, model)
            ask = bot.generate.model_copy(
                update={
                    "samples": asked.sampling.num_samples,
                    "max_tokens": asked.sampling.length,
                    "temperature": asked.sampling.temperature,
                    "top_p": asked.sampling.top_p,
                    "top_k": asked.sampling.top_k,
                    "seed": None,
                }
            )
            prompt = ask.cased(asked.prompt)
            pieces = endpoint.stream(client, bot.name, prompt, ask, asleep)
            with contextlib.closing(pieces):
                for place, piece, finish in pieces:
                    claim.unfinished[place] = claim.unfinished.get(place, prompt) + piece
                    if finish:
                        text = clean_generated(
                            claim.unfinished.pop(place),
                            finish == "stop",
                            unfinished=bot.judge.unfinished,
                            line_break=ask.line_break,
                        )
                        verdict = judge(text, bot.judge, copied)
                        if not verdict.rejection:
                            claim.add({"text": text, "score": verdict.score, "scores": verdict.scores})
                    claim.check()
        return claim.texts

    def _index(self, bot: str, model: str) -> Copied:
        """How much of a text stands in what the model was trained on."""
        with self._fetching:  # one does
            if (bot, model) not in self._copied:
                for other in [key for key in self._copied if key[0] == bot]:
                    del self._copied[other]
                self._copied[bot, model] = copied_from(self._settings, bot, model)
            return self._copied[bot, model]


class _Claim:
    """A claim that is renewed while an answer is written, and what is known of the answer so far."""

    def __init__(self, connect: Connect, id: UUID, holder: UUID) -> None:
        self.phase = "waiting for a writer"
        self.texts: list[dict[str, Any]] = []
        self.unfinished: dict[int, str] = {}
        self.lost = False
        self._connect, self._id, self._holder = connect, id, holder
        self._known: set[str] = set()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="claim", daemon=True)

    def add(self, text: dict[str, Any]) -> None:
        """One more text, in its place; one that is there already is left out."""
        folded = fold_spaces(text["text"])
        if folded not in self._known:
            self._known.add(folded)
            self.texts = sorted([*self.texts, text], key=lambda each: -each["score"])

    def check(self) -> None:
        """Raises Stopped where it is lost."""
        if self.lost:
            raise Stopped("nobody waits for it any more")

    def begin(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._done.set()

    def _renew(self) -> None:
        while not self._done.wait(TELL):
            try:
                with self._connect() as connection:
                    unfinished = [{"text": text, "unfinished": True} for text in list(self.unfinished.values())]
                    shown = [*self.texts, *unfinished]
                    if not prompts.renew(connection, self._id, self._holder, self.phase, shown):
                        self.lost = True
            except Exception as error:  # Postgres is away for a moment
                logger.warning("answer %s: %s", self._id, error)
