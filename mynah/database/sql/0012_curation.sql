-- Several people curate at once: who has which text before their eyes, what was taken back, and what they were told.

-- One text is before one person. A lease that has run out is anybody's; the time is this server's.
CREATE TABLE curating (
    tweet_id   bigint PRIMARY KEY REFERENCES tweets ON DELETE CASCADE,
    holder     uuid NOT NULL,                             -- a page of `mynah curate`
    who        text NOT NULL DEFAULT mynah_user(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX curating_by_holder ON curating (holder);

-- What took back what. Both are rows of `decisions`, to which nothing but more is ever done.
CREATE TABLE undos (
    undoes bigint NOT NULL REFERENCES decisions,
    id     bigint UNIQUE REFERENCES decisions             -- null: nothing had to be changed back
);
CREATE INDEX undos_undoes ON undos (undoes);
CREATE INDEX decisions_by_person ON decisions (bot, who, id);

-- What people look for: the best of a state, the last posted, and words, whatever language they are of.
CREATE INDEX tweets_best ON tweets (bot, state, score DESC NULLS LAST, id);
CREATE INDEX tweets_last_posted ON tweets (bot, posted_at DESC, id DESC) WHERE state = 'posted';
CREATE INDEX tweets_words ON tweets USING gin (to_tsvector('simple', text));

-- What people were alerted to and what has not passed since: they are told once.
CREATE TABLE alerts (
    bot   text NOT NULL,
    thing text NOT NULL,
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (bot, thing)
);
