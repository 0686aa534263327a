"""How long a bot's approved texts last."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from cronsim import CronSim

from mynah.bot.post import Posting

DAYS = 28  # of the schedule that are counted, so that weekdays and days of the month count as often as they come
MOST = 24 * 60 * DAYS


def posts_per_day(section: Posting, now: datetime) -> float:
    """How many texts the account's schedule and its budget take per day, from `now` (aware) on."""
    if section.suspend:
        return 0.0
    end, count = now + timedelta(days=DAYS), 0
    for due in CronSim(section.schedule, now.astimezone(ZoneInfo(section.time_zone))):
        if due > end or count == MOST:
            break
        count += 1
    per_day = count / DAYS
    if section.max_posts_per_day is not None:
        per_day = min(per_day, section.max_posts_per_day)
    if section.max_posts_per_month is not None:
        per_day = min(per_day, section.max_posts_per_month / 30.4)
    return per_day


def stock_days(left: int, section: Posting, now: datetime) -> float | None:
    """How many days `left` approved texts last; None where the account posts nothing by itself."""
    per_day = posts_per_day(section, now)
    return left / per_day if per_day else None
