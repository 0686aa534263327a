"""X: what a bot needs of its API v2. It posts to one account, and reads whom the files name."""
