-- How a bot posts: what a call sends, what it costs, when it is tried again, what people make of a post.

ALTER TABLE posts
    ADD record jsonb;  -- what the account's call sends, stored with the claim: an idempotency key, a record and its key
