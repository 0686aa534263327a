"""X: the posting part of its API v2, for one account."""
