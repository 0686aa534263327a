"""What reading accounts on X would cost, by what the cursor knows of them."""

import math
import time
from collections.abc import Iterable

from mynah.bot.sources.x import XPosts, XSource
from scrapers.cost import Cost
from scrapers.page import Context, Cursor
from scrapers.x import walk
from scrapers.x.names import read_names
from scrapers.x.sweep import LOOK_UP

REACH = 3200  # posts: as far as a timeline goes back
WINDOW = 0.25  # hours, in which X allows so many requests:
LOOK_UPS, TIMELINES, FOLLOWERS = 300, 900, 300


def estimate(source: XSource, cursor: Cursor | None, context: Context) -> Cost:
    """X is asked nothing. An account that is not looked up yet counts with `limit` posts, or as far as X goes back."""
    names, _ = read_names(source.accounts, source.accounts_file, context.settings)
    known = (cursor or {}).get("accounts", {})
    states = [known.get(name, {}) for name in names]
    unknown = sum("id" not in state for state in states)
    posts, timelines = count(source, states)
    look_ups = math.ceil(unknown / LOOK_UP)
    return Cost(
        posts=posts,
        requests=timelines + look_ups,
        dollars=round(posts * source.prices.post + unknown * source.prices.user, 6),
        hours=round((timelines / TIMELINES + look_ups / LOOK_UPS) * WINDOW, 4),
        prices=f"${source.prices.post:g} per post, ${source.prices.user:g} per account: X since {source.prices.since}",
        note=f"{len(names):,} accounts, of which {unknown:,} are to be looked up first",
    )


def count(source: XPosts, states: Iterable[walk.State]) -> tuple[int, int]:
    """Posts that accounts in these states are expected to have for us, and requests for them."""
    posts = requests = 0
    for state in states:
        expected = _posts(source, state)
        posts += expected
        requests += max(1, math.ceil(expected / walk.PAGE)) + ("before" in state)
    return posts, requests


def _posts(source: XPosts, state: walk.State) -> int:
    """Posts that an account is expected to have for us."""
    if "through" in state:  # as it used to write since it was read
        daily: float = state.get("daily", 0)
        at: float = state.get("at", 0)
        return round(daily * max(time.time() / 86400 - at, 0))
    reach: int = min(source.limit or REACH, REACH, state.get("posts", REACH))
    seen: int = state.get("seen", 0)
    return max(reach - seen, 0)
