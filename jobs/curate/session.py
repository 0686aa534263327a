"""A person goes through a bot's candidates, one at a time. Every step is in Postgres when it returns: nothing waits."""

import time
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from mynah import curation, rules, undoing
from mynah.bot import Bot
from mynah.database import queue, tweets
from mynah.database.connection import Connection
from mynah.database.queue import Filter
from mynah.database.tweets import Stale, Tweet
from mynah.errors import MynahError
from mynah.recitation import Copied

COUNT_EVERY = 5.0  # seconds: counting 100,000 texts takes 20 ms
AHEAD = 2  # texts that are leased at a time: the one that is shown, and the next


@dataclass
class Session:
    """What is before one person: `tweet` is shown, None where nothing is left; `says` is what happened last."""

    bot: Bot
    connection: Connection
    wanted: Filter
    holder: UUID = field(default_factory=uuid4)
    tweet: Tweet | None = None
    says: str = ""
    done: dict[str, int] = field(default_factory=lambda: dict.fromkeys(("approved", "rejected", "edited", "undone"), 0))
    skipped: list[int] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    others: list[str] = field(default_factory=list)
    """Who else curates."""
    _counted: float = -COUNT_EVERY
    _next: list[Tweet] = field(default_factory=list)
    _passed: list[int] = field(default_factory=list)
    """Decisions that could not be undone."""

    def go_on(self) -> None:
        """Show the next text; those that were skipped come again at the end, once nothing else is left."""
        self.tweet = None
        if not self._next:
            self._take(self.skipped)
        if not self._next and self.skipped:
            self.says, self.skipped = f"{self.says}; what you skipped comes again".lstrip("; "), []
            self._take([])
        if self._next:
            self.tweet = self._next.pop(0)
            self._keep()
            if not self._next:
                self._take([self.tweet.id, *self.skipped])
        self.look()

    def look(self) -> None:
        """Count again, where the last count is old; meanwhile, one's own decisions are counted on."""
        if time.monotonic() < self._counted + COUNT_EVERY:
            return
        self._counted = time.monotonic()
        self.counts = tweets.count_states(self.connection, self.bot.name)
        self.others = queue.others(self.connection, self.bot.name, self.holder)

    def decide(self, state: str, reason: str | None = None) -> None:
        """Approve or reject what is shown, and go on. What may not be posted stays, and `says` why."""
        tweet = self._shown()
        try:
            curation.decide(self.bot, self.connection, [tweet.id], state, reason, tweet.revision)
        except Stale as stale:
            self.says = curation.briefly(stale)
        except MynahError as error:
            self.says = curation.briefly(error)
            return
        else:
            self.done[state] += 1
            self._count(tweet.state, state)
            self.says = f"{state}: {queue.shown(tweet.text)}"
        self._let_go(tweet)
        self.go_on()

    def edit(self, text: str) -> bool:
        """Take another text for what is shown; False where it may not be posted or is taken, and `says` why."""
        tweet = self._shown()
        try:
            curation.edit(self.bot, self.connection, tweet.id, text, tweet.revision)
        except Stale as stale:
            self.tweet, self.says = stale.tweet, str(stale)
            return False
        except MynahError as error:
            self.says = curation.briefly(error)
            return False
        self.done["edited"] += 1
        self.says = "edited: now decide"
        self._keep()
        return True

    def doubts(self, text: str, copied: Copied) -> str:
        """What the judge says of an edited text, though a person may pass over it; "" where it is content."""
        if rules.may_post(text, self.bot.judge):  # which `edit` says
            return ""
        verdict = rules.judge(text, self.bot.judge, copied)
        return f"judged {verdict.score:.2f}: {verdict.rejection.words}" if verdict.rejection else ""

    def skip(self) -> None:
        """Leave what is shown to others, and to oneself at the end."""
        tweet = self._shown()
        self.skipped.append(tweet.id)
        self.says = f"skipped: {queue.shown(tweet.text)}"
        self._let_go(tweet)
        self.go_on()

    def undo(self) -> None:
        """Take back the last decision that still stands, and show the text it was about."""
        decision = undoing.last_own(self.connection, self.bot.name, self._passed)
        if decision is None:
            self.says = "nothing to undo: you have decided nothing more"
            return
        try:
            tweet = undoing.undo(self.bot, self.connection, decision)
        except MynahError as error:
            self._passed.append(decision.id)
            self.says = f"not undone: {error}; u undoes what you decided before"
            return
        if self.tweet and self.tweet.id != tweet.id:
            self._next.insert(0, self.tweet)
        self._next = [each for each in self._next if each.id != tweet.id]
        self.tweet, self.done["undone"] = tweet, self.done["undone"] + 1
        self._count(decision.new_judgement, tweet.state)
        self._keep()
        self.look()
        self.says = f"undone: it was {decision} on {decision.at:%Y-%m-%d %H:%M}"

    def end(self) -> str:
        """Give back what is leased; returns what was done."""
        queue.release(self.connection, self.holder)
        done = ", ".join(f"{number} {what}" for what, number in self.done.items() if number) or "nothing decided"
        return f"{done}; {tweets.count_states(self.connection, self.bot.name)['candidate']} candidates are left"

    def _shown(self) -> Tweet:
        if self.tweet is None:
            raise MynahError("there is no text to decide about")
        return self.tweet

    def _take(self, beside: list[int]) -> None:
        limit = AHEAD - (self.tweet is not None)
        found = queue.next_candidates(self.connection, self.bot.name, self.wanted, self.holder, limit, beside)
        self._next.extend(found)

    def _keep(self) -> None:
        """The lease of what is shown begins anew. Where another has it by now, the first to decide wins."""
        tweet = self._shown()
        if not queue.lease(self.connection, tweet.id, self.holder):
            self.says = f"{self.says}; somebody else looks at this text too".lstrip("; ")
        self.tweet = tweets.get_tweet(self.connection, self.bot.name, tweet.id) or tweet

    def _count(self, old: str, new: str) -> None:
        self.counts[old] -= 1
        self.counts[new] += 1

    def _let_go(self, tweet: Tweet) -> None:
        queue.release(self.connection, self.holder, tweet.id)
