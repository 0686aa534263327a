"""What X would charge for what was read."""

import time
from collections import Counter
from dataclasses import dataclass, field

# Dollars per post or user that comes back, X's prices since 2026-02; one's own posts cost less.
PRICES = {"post": 0.005, "user": 0.010, "own post": 0.001}


@dataclass
class Bill:
    """What was read since the simulator started. The same thing read again in one UTC day is free."""

    requests: int = 0
    """Those that were answered, refusals too."""
    read: Counter[str] = field(default_factory=Counter)
    """What X charges for: how many of each of PRICES."""
    _day: int = 0
    _today: set[tuple[str, str]] = field(default_factory=set)

    def charge(self, kind: str, ids: list[str]) -> None:
        """Note what an answer holds."""
        day = int(time.time()) // 86_400
        if day != self._day:
            self._day, self._today = day, set()
        new = {(kind, id) for id in ids} - self._today
        self._today |= new
        self.read[kind] += len(new)

    @property
    def dollars(self) -> float:
        return round(sum(PRICES[kind] * number for kind, number in self.read.items()), 6)
