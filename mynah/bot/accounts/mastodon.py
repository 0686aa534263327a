"""The account `mastodon`."""

from typing import Annotated, Literal

from mynah.bot.accounts.account import Address, KeyedAccount, Language, Prefix
from mynah.bot.section import Unit


class MastodonAccount(KeyedAccount):
    """An account on a server of Mastodon, or of another program that speaks its API, such as GoToSocial. The server
    says how long a text may be."""

    kind: Literal["mastodon"]
    """What sort of account this is."""
    server: Address | None = None
    """The server where the account is, such as `https://mastodon.social`. Left out, `MASTODON_SERVER` names it."""
    visibility: Literal["public", "unlisted", "private"] = "public"
    """Who sees the posts: everybody; everybody, but not in the server's public lists; those who follow."""
    language: Language | None = None
    """The language that the posts are marked with; left out, the account's own setting."""
    env: Prefix = ""
    """What the names of the account's environment variables begin with: with `NEWS_`, its access token is
    `NEWS_MASTODON_ACCESS_TOKEN`. Two accounts of a bot on Mastodon must differ in it."""
    secret: Annotated[str | None, Unit("name of a Secret")] = None
    """On a cluster: the Secret with the account's `MASTODON_ACCESS_TOKEN`. Without one, nothing is posted from there,
    except to the Mastodon simulator."""
