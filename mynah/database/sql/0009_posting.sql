-- How a bot posts: what a call sends and costs, when it is tried again, which times of the schedule were missed, how far
-- an account's own posts were read, and what people made of them.

ALTER TABLE posts
    ADD record    jsonb,                        -- what the account's call sends, stored with the claim
    ADD cost      numeric(12, 6) NOT NULL DEFAULT 0 CHECK (cost >= 0),  -- dollars: reserved with the claim; 0 again once
                                                -- it is known that the text was not posted
    ADD failures  integer NOT NULL DEFAULT 0,   -- attempts that came to nothing since a person last decided
    ADD failed_at timestamptz,                  -- when the first of them was claimed
    ADD retry_at  timestamptz,                  -- until then, other texts go first
    ADD alike     text;                         -- in doubt: a post that differs from this in nothing but its links
CREATE INDEX tweets_stock ON tweets (bot, id) WHERE judgement = 'approved' AND text_key IS NOT NULL;
CREATE INDEX posts_taken ON posts (bot, account, tweet_id) WHERE state <> 'returned';
CREATE INDEX posts_by_time ON posts (bot, account, posted_at DESC) WHERE state = 'posted';
CREATE INDEX posts_by_claim ON posts (bot, account, claimed_at DESC, id DESC);

CREATE FUNCTION posts_come_to_nothing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state IN ('returned', 'refused') THEN
        NEW.cost := 0;
    END IF;
    IF NEW.state <> 'unknown' THEN
        NEW.alike := NULL;
    END IF;
    IF NEW.text <> OLD.text THEN
        NEW.record := NULL;
    END IF;
    IF NEW.text <> OLD.text OR OLD.state = 'refused' AND NEW.state = 'returned' THEN  -- a person says: try again
        NEW.failures := 0;
        NEW.failed_at := NULL;
        NEW.retry_at := NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER posts_come_to_nothing BEFORE UPDATE ON posts FOR EACH ROW EXECUTE FUNCTION posts_come_to_nothing();

-- Times of an account's schedule whose post was tried in vain. One that has its post, or may have it, is in `posts`.
CREATE TABLE slots (
    bot       text NOT NULL,
    account   text NOT NULL,
    slot      timestamptz NOT NULL,
    tries     integer NOT NULL DEFAULT 0,
    retry_at  timestamptz,                      -- not tried before
    reason    text NOT NULL,                    -- why the last try came to nothing
    missed_at timestamptz,                      -- when it was given up
    PRIMARY KEY (bot, account, slot)
);

-- A reading of an account's own posts, the newest first: for the rows in doubt, or for what people made of the posts.
CREATE TABLE readings (
    bot      text NOT NULL,
    account  text NOT NULL,
    what     text NOT NULL CHECK (what IN ('doubt', 'reactions')),
    begun_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    since    timestamptz NOT NULL,              -- how far back it is to go
    after    text,                              -- the id of a post from before
    cursor   text,                              -- where it goes on
    done_at  timestamptz,
    PRIMARY KEY (bot, account, what)
);

-- What people made of a post, as of a day (in UTC).
CREATE TABLE reactions (
    post_id bigint NOT NULL REFERENCES posts ON DELETE CASCADE,
    day     date NOT NULL,
    numbers jsonb NOT NULL,                     -- likes, reposts, replies, quotes, views: those that the account tells
    PRIMARY KEY (post_id, day)
);
