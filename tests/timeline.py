"""An account's own posts, read as the poster reads them, for the tests of accounts."""

from jobs.accounts import Account, Published
from mynah.database.posts import Post
from mynah.errors import MynahError


def find(account: Account, row: Post) -> Published | None:
    """The account's own post of this row. Raises MynahError where it cannot be told."""
    doubtful, cursor, size = None, None, account.page_size[0]
    while True:
        page = account.own_posts(row.claimed_at, None, size, cursor)
        for shown in page.shown:
            match account.same(row, shown):
                case True:
                    return shown.published
                case None:
                    doubtful = shown.published.url
        if page.problem:
            raise MynahError(page.problem)
        if page.cursor is None:
            break
        cursor, size = page.cursor, min(2 * size, account.page_size[1])
    if doubtful:
        raise MynahError(f"{doubtful} differs in nothing but its links")
    return None
