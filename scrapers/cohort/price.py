"""What reading a cohort would cost, by what is known of its leaders."""

import math

from mynah.bot.sources.cohort import CohortSource
from scrapers.cohort.gather import PAGE, key_of, read_sides
from scrapers.cohort.pages import Pages
from scrapers.cost import Cost
from scrapers.page import Context, Cursor
from scrapers.x import price
from scrapers.x.sweep import LOOK_UP


def estimate(source: CohortSource, cursor: Cursor | None, context: Context) -> Cost:
    """The most that it costs: X is asked nothing.

    A leader that is not looked up yet counts with `max_followers`, and a cohort that is not made yet with
    `max_accounts`, each with as many posts as may be read of it.
    """
    sides, cursor = read_sides(source, context.settings), cursor or {}
    pages = Pages(context.settings.bucket, context.bot, context.name)
    known, cohort = cursor.get("leaders", {}), pages.cohort()
    if cohort and cohort.key != key_of(source, sides):
        cohort = None
    unknown = followers = asked = 0
    for name in [] if cohort else sides.all:
        unknown += name not in known
        note = pages.last(name)
        if note and not note.next:
            continue
        most = min(source.max_followers, known[name]["followers"] if name in known else source.max_followers)
        left = max(most - (note.total if note else 0), 0)
        followers += left
        asked += math.ceil(left / PAGE)
    states = cursor.get("posts", {}).get("accounts", {})
    if cohort:
        accounts = [states.get(name, state) for name, state in cohort.accounts().items()]
    else:
        accounts = [{}] * source.max_accounts
    posts, timelines = price.count(source, accounts)
    look_ups = math.ceil(unknown / LOOK_UP)
    prices = source.prices
    hours = timelines / price.TIMELINES + asked / price.FOLLOWERS + look_ups / price.LOOK_UPS
    first = f", at most, and {followers:,} followers of {len(sides.all):,} leaders are to be read first"
    return Cost(
        posts=posts,
        requests=timelines + asked + look_ups,
        dollars=round(posts * prices.post + (followers + unknown) * prices.user, 6),
        hours=round(hours * price.WINDOW, 4),
        prices=f"${prices.post:g} per post, ${prices.user:g} per account or follower: X since {prices.since}",
        note=f"{len(accounts):,} accounts{'' if cohort else first}",
    )
