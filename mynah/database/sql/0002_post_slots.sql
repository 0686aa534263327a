-- Which tweet was taken for which time of post.schedule: a time has one post, however often its job runs.

CREATE TABLE post_slots (
    bot      text NOT NULL,
    due      timestamptz NOT NULL,
    tweet_id bigint NOT NULL REFERENCES tweets ON DELETE CASCADE,
    PRIMARY KEY (bot, due)
);
