"""Mastodon: what a bot needs of its API. It has one account, to post to and to read back."""
