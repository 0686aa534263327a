"""How long the approved texts of an account last."""

from datetime import UTC, datetime

import pytest

from mynah.bot.post import Post
from mynah.stock import posts_per_day, stock_days

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("section", "per_day"),
    [
        (Post(schedule="0 */3 * * *"), 8),
        (Post(schedule="0 9 * * 1-5", time_zone="Asia/Kolkata"), 5 / 7),
        (Post(schedule="*/10 * * * *", max_posts_per_day=20), 20),
        (Post(schedule="0 */3 * * *", max_posts_per_month=76), 2.5),
        (Post(suspend=True), 0),
    ],
)
def test_how_many_posts_a_day(section: Post, per_day: float) -> None:
    assert posts_per_day(section, NOW) == pytest.approx(per_day)


def test_how_many_days() -> None:
    assert stock_days(20, Post(schedule="0 */3 * * *"), NOW) == 2.5
    assert stock_days(0, Post(), NOW) == 0
    assert stock_days(20, Post(suspend=True), NOW) is None
