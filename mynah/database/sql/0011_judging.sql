-- What judging and generating keep: every rule that a text breaks, what it is made of, and how far a generation has come.

ALTER TABLE tweets
    ADD broken        jsonb NOT NULL DEFAULT '[]',  -- every rule that it breaks, the first first: [{"code": …, "words": …}]
    ADD generation_id bigint;                       -- which generation wrote it

-- One `mynah generate`. A killed one is gone on with by the next that asks for the same.
CREATE TABLE generations (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bot        text NOT NULL CHECK (bot <> ''),
    model      text NOT NULL,
    asked      jsonb NOT NULL,                       -- prompts and sampling
    first_seed bigint,                               -- null: each request draws one
    requested  integer NOT NULL DEFAULT 0,           -- texts that were asked for and came, in the order of the plan
    good       integer NOT NULL DEFAULT 0,           -- new ones that no rule rejects
    rejected   integer NOT NULL DEFAULT 0,
    known      integer NOT NULL DEFAULT 0,           -- that the bot had already
    holder     uuid NOT NULL,                        -- who is at work on it
    began_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    came_at    timestamptz NOT NULL DEFAULT clock_timestamp(),  -- its last texts
    ended_at   timestamptz
);
CREATE INDEX generations_of_bot ON generations (bot, id);
CREATE INDEX tweets_of_generation ON tweets (generation_id, score DESC) WHERE generation_id IS NOT NULL;

-- The bands of a text's MinHash, as mynah.recitation has them: of two texts that are nearly the same, one band is the
-- same. Null: not computed yet, by whoever looks for near texts next. Any version's writing makes it so.
CREATE TABLE tweet_bands (
    tweet_id bigint PRIMARY KEY REFERENCES tweets ON DELETE CASCADE,
    bands    integer[]
);
CREATE INDEX tweet_bands_shared ON tweet_bands USING gin (bands) WITH (fastupdate = off);
CREATE INDEX tweet_bands_missing ON tweet_bands (tweet_id) WHERE bands IS NULL;

CREATE FUNCTION tweet_bands_missing() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO tweet_bands (tweet_id) VALUES (NEW.id) ON CONFLICT (tweet_id) DO UPDATE SET bands = NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER tweet_bands_at_once AFTER INSERT ON tweets FOR EACH ROW EXECUTE FUNCTION tweet_bands_missing();
CREATE TRIGGER tweet_bands_missing AFTER UPDATE ON tweets
    FOR EACH ROW WHEN (NEW.text <> OLD.text) EXECUTE FUNCTION tweet_bands_missing();
INSERT INTO tweet_bands (tweet_id) SELECT id FROM tweets;

-- What was last learned of a bot's curators; the scores of its candidates are by it.
CREATE TABLE rankings (
    bot         text PRIMARY KEY,
    decision_id bigint NOT NULL,                      -- the last one that was learned from
    approved    integer NOT NULL,
    rejected    integer NOT NULL,
    auc         double precision,                     -- on decisions held out; null: too few of a kind to learn from
    learned_at  timestamptz NOT NULL DEFAULT clock_timestamp()
);
CREATE INDEX decisions_of_bot ON decisions (bot, id);
