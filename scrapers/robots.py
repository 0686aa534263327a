"""robots.txt (RFC 9309): what a host lets us ask it for, and how often."""

from dataclasses import dataclass

from protego import Protego

from scrapers.fetch import Fetched, NoAnswer

AGENT = "mynah"  # the name that a robots.txt calls us by
MAX_BYTES = 512 << 10  # of the file; RFC 9309, 2.5, asks for at least 500 KiB
MAX_DELAY = 30.0  # seconds between two requests, however many more a file wants


@dataclass(frozen=True)
class Robots:
    """A host's rules."""

    rules: Protego | None
    """None: nothing may be asked."""
    why: str = ""
    """Then, why not."""

    def allows(self, url: str) -> bool:
        return self.rules is not None and self.rules.can_fetch(url, AGENT)

    @property
    def delay(self) -> float:
        """Seconds that it wants between two requests, as far as we obey that."""
        if self.rules is None:
            return 0.0
        rate = self.rules.request_rate(AGENT)
        wanted = [self.rules.crawl_delay(AGENT) or 0.0, rate.seconds / max(1, rate.requests) if rate else 0.0]
        return min(MAX_DELAY, max(wanted))


def read_robots(answer: Fetched | NoAnswer) -> Robots:
    """The rules that an answer to the question for robots.txt means (RFC 9309, 2.3.1).

    A host that has no such file lets everything be asked; one that is out of order lets nothing, and 429 is that too.
    """
    if isinstance(answer, Fetched):
        return Robots(Protego.parse((answer.body or b"").decode("utf-8-sig", "replace")))
    if answer.status is not None and 400 <= answer.status < 500 and answer.status != 429:
        return Robots(Protego.parse(""))
    return Robots(None, f"{answer}; until it can be read, nothing of that host is asked for")
