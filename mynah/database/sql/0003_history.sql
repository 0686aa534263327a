-- What was posted, apart from what may be said; who decided what; which model served when; who works on what.
--
-- A tweet has one judgement, and a post on each account that took it up:
--
--   tweets.judgement:  candidate, approved, rejected; from any to any other, each time with a row of `decisions`
--
--   posts.state:             ┌─────▶ posted ◀──────┐
--                            │                     │
--           (no row) ──▶ claimed ──▶ unknown ──────┤
--                         ▲  │ │                   │
--                         │  │ └───▶ refused ◀─────┤
--                         │  │          │ approved │
--                         │  ▼          ▼ again    │
--                         └─ returned ◀────────────┘
--
--   claimed   a poster has it in hand               posted    the account has it: for ever
--   unknown   nobody can tell whether it was posted returned  it was not posted; it may be claimed again
--   refused   the account takes anything but this text
--
-- claimed, unknown and posted are live: the account may have the text, so nothing sends it again and nobody edits it.
-- A post found on the account after all goes from refused or returned to posted.
--
-- `posts` is the truth about posting. Version 0.2.0 knows `tweets` and `post_slots` alone, and may run beside this one
-- or after it. Triggers carry what it writes there into `posts`, as the account `main`, and what becomes of `posts` back:
--
--   0.2.0 writes tweets.state ──▶ tweets_to_posts ──▶ posts ──▶ posts_to_tweets ──▶ tweets.state, post_slots
--   0.2.0 writes post_slots ────▶ slots_to_posts  ──▶   ▲
--                                      0.3.0 writes posts
--
-- tweets.state is the most pressing of a tweet's posts: claimed (posting), else unknown, posted, refused (rejected), else
-- its judgement. A trigger's own writes are told from a client's by pg_trigger_depth().

-- The setting names the person at work; without it, the role that the client logged in as.
CREATE FUNCTION mynah_user() RETURNS text LANGUAGE sql STABLE AS
    $$ SELECT coalesce(nullif(current_setting('mynah.user', true), ''), session_user::text) $$;

-- Two texts are the same where only white space differs: what Python's str.split() splits at.
CREATE FUNCTION text_key(text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT md5(btrim(regexp_replace(
        $1, '[\u0009-\u000d\u001c-\u0020\u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+', ' ', 'g')))
$$;

-- == tweets ==========================================================================================================

ALTER TABLE tweets
    ADD written   text,                         -- as it was first written
    ADD revision  integer NOT NULL DEFAULT 1,   -- one more with each decision
    ADD sampling  jsonb NOT NULL DEFAULT '{}',  -- what the model was asked for: temperature, top_p …
    ADD seed      bigint,
    ADD text_key  text,                         -- null: a double of an older row, from before this migration
    ADD judgement text CHECK (judgement IN ('candidate', 'approved', 'rejected'));

-- Of texts that differ only in white space, the one that got furthest has the key.
UPDATE tweets SET
    written = text,
    judgement = CASE WHEN state IN ('posting', 'posted', 'unknown') THEN 'approved' ELSE state END,
    text_key = CASE WHEN place = 1 THEN key END
FROM (
    SELECT id AS ranked, text_key(text) AS key, row_number() OVER (
        PARTITION BY bot, text_key(text)
        ORDER BY array_position(ARRAY['posted', 'posting', 'unknown', 'approved', 'candidate', 'rejected'], state), id
    ) AS place
    FROM tweets
) AS ranks
WHERE id = ranked;

ALTER TABLE tweets ALTER written SET NOT NULL, ALTER judgement SET NOT NULL;
CREATE UNIQUE INDEX tweets_text_key_once ON tweets (bot, text_key);
CREATE INDEX tweets_by_judgement ON tweets (bot, judgement);
DROP INDEX tweets_post_once;  -- ids of two accounts may be equal: posts.post_url says it now

CREATE FUNCTION tweets_judge() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    by_client constant boolean := pg_trigger_depth() = 1;
    decided boolean;
BEGIN
    IF TG_OP = 'INSERT' THEN
        NEW.written := NEW.text;
        NEW.revision := 1;
        NEW.text_key := text_key(NEW.text);
        NEW.judgement := CASE WHEN NEW.state IN ('posting', 'posted', 'unknown') THEN 'approved' ELSE NEW.state END;
        RETURN NEW;
    END IF;

    NEW.written := OLD.written;
    NEW.text_key := OLD.text_key;
    IF NEW.text <> OLD.text THEN
        IF OLD.state IN ('posting', 'posted', 'unknown') THEN
            RAISE EXCEPTION 'tweet % is % and its text stays as it is', OLD.id, OLD.state
                USING ERRCODE = 'check_violation', CONSTRAINT = 'tweets_text_fixed';
        END IF;
        NEW.text_key := text_key(NEW.text);
    END IF;

    IF by_client AND NEW.state <> OLD.state AND OLD.state <> 'posting' THEN  -- a poster that reports does not judge
        NEW.judgement := CASE WHEN NEW.state IN ('posting', 'posted', 'unknown') THEN 'approved' ELSE NEW.state END;
    ELSIF NEW.text <> OLD.text AND OLD.state = 'rejected' THEN
        NEW.judgement := 'rejected';  -- an account refused the old text: a person decides about the new one
    END IF;
    IF NEW.state = 'approved' AND NEW.text_key IS NULL THEN
        NEW.state := 'rejected';
        NEW.judgement := 'rejected';
        NEW.reason := format('tweet %s is the same text but for white space',
            (SELECT id FROM tweets WHERE bot = NEW.bot AND text_key = text_key(NEW.text)));
    END IF;

    decided := NEW.text <> OLD.text OR NEW.judgement <> OLD.judgement
        OR by_client AND NEW.state <> OLD.state AND OLD.state <> 'posting' AND NEW.state = NEW.judgement;
    NEW.revision := OLD.revision + decided::integer;
    RETURN NEW;
END $$;

-- Posts may move a tweet from any state to any other: they have a state machine of their own.
DROP TRIGGER tweets_state_machine ON tweets;
CREATE TRIGGER tweets_state_machine BEFORE UPDATE ON tweets
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION tweets_state_machine();
CREATE TRIGGER tweets_to_judge BEFORE INSERT OR UPDATE ON tweets  -- after the one above: triggers fire by name
    FOR EACH ROW EXECUTE FUNCTION tweets_judge();

-- == decisions =======================================================================================================

-- Append-only. No foreign key: a decision outlives its tweet.
CREATE TABLE decisions (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bot           text NOT NULL,
    tweet_id      bigint NOT NULL,
    revision      integer NOT NULL,             -- the revision that it made of the one before
    action        text NOT NULL CHECK (action IN ('approve', 'reject', 'put back', 'edit')),
    old_judgement text,                         -- null, as old_text is: decided when the text was stored
    new_judgement text NOT NULL,
    old_text      text,
    new_text      text NOT NULL,
    who           text NOT NULL,
    at            timestamptz NOT NULL DEFAULT clock_timestamp(),
    why           text
);
CREATE INDEX decisions_of_tweet ON decisions (bot, tweet_id, id);

CREATE FUNCTION decisions_stay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'decisions are only ever added to' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER decisions_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON decisions
    FOR EACH STATEMENT EXECUTE FUNCTION decisions_stay();

CREATE FUNCTION tweets_decided() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO decisions
        (bot, tweet_id, revision, action, old_judgement, new_judgement, old_text, new_text, who, why)
    SELECT NEW.bot, NEW.id, NEW.revision, action, OLD.judgement, NEW.judgement, OLD.text, NEW.text,
        CASE WHEN TG_OP = 'UPDATE' THEN mynah_user()
             WHEN action = 'approve' THEN 'judge.approve_best' ELSE 'judge' END,
        CASE WHEN action <> 'edit' THEN NEW.reason END
    FROM (SELECT CASE WHEN NEW.text <> OLD.text THEN 'edit' WHEN NEW.judgement = 'approved' THEN 'approve'
                      WHEN NEW.judgement = 'rejected' THEN 'reject' ELSE 'put back' END AS action) AS _;
    RETURN NULL;
END $$;
CREATE TRIGGER tweets_decided AFTER UPDATE ON tweets
    FOR EACH ROW WHEN (NEW.revision <> OLD.revision) EXECUTE FUNCTION tweets_decided();
CREATE TRIGGER tweets_decided_at_once AFTER INSERT ON tweets
    FOR EACH ROW WHEN (NEW.state IN ('approved', 'rejected')) EXECUTE FUNCTION tweets_decided();

-- == posts ===========================================================================================================

CREATE TABLE posts (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tweet_id   bigint NOT NULL REFERENCES tweets,
    bot        text NOT NULL,
    account    text NOT NULL CHECK (account <> ''),
    text       text NOT NULL,
    text_key   text,                            -- null: see tweets
    slot       timestamptz,                     -- the time of the account's schedule that it is for; free once given back
    state      text NOT NULL DEFAULT 'claimed'
               CHECK (state IN ('claimed', 'posted', 'unknown', 'returned', 'refused')),
    attempts   integer NOT NULL DEFAULT 1,
    claimed_at timestamptz NOT NULL DEFAULT now(),
    posted_at  timestamptz,
    post_id    text CHECK (post_id <> ''),
    post_url   text UNIQUE,                     -- one post is one row, whichever bots share the account
    reason     text,                            -- why it was given back or refused, or why nobody knows
    UNIQUE (tweet_id, account),
    UNIQUE (bot, account, text_key),
    CONSTRAINT posted_has_post   CHECK ((state = 'posted') = (post_id IS NOT NULL)),
    CONSTRAINT posted_has_time   CHECK ((state = 'posted') = (posted_at IS NOT NULL)),
    CONSTRAINT refusal_has_reason CHECK (state NOT IN ('refused', 'unknown') OR reason IS NOT NULL)
);
CREATE UNIQUE INDEX posts_slot_once ON posts (bot, account, slot) WHERE state IN ('claimed', 'posted', 'unknown');
CREATE INDEX posts_by_state ON posts (bot, account, state);

INSERT INTO posts (tweet_id, bot, account, text, text_key, slot, state, claimed_at, posted_at, post_id, post_url, reason)
SELECT id, bot, 'main', text, text_key, (SELECT max(due) FROM post_slots WHERE tweet_id = tweets.id),
    CASE state WHEN 'posting' THEN 'claimed' ELSE state END,
    coalesce(claimed_at, posted_at, decided_at, created_at), posted_at, post_id, post_url,
    CASE state WHEN 'unknown' THEN reason END
FROM tweets WHERE state IN ('posting', 'posted', 'unknown') ORDER BY id;

CREATE FUNCTION posts_state_machine() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('claimed', 'posted'), ('claimed', 'unknown'), ('claimed', 'refused'), ('claimed', 'returned'),
        ('unknown', 'posted'), ('unknown', 'refused'), ('unknown', 'returned'),
        ('refused', 'posted'), ('refused', 'returned'),
        ('returned', 'posted'), ('returned', 'claimed')
    ) THEN
        RAISE EXCEPTION 'post % of tweet % cannot go from % to %', OLD.id, OLD.tweet_id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'posts_state_machine';
    END IF;
    IF OLD.state IN ('claimed', 'posted', 'unknown') AND NEW.text <> OLD.text THEN
        RAISE EXCEPTION 'post % of tweet % is % and its text stays as it is', OLD.id, OLD.tweet_id, OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'posts_text_fixed';
    END IF;
    IF NEW.state IN ('refused', 'returned') THEN
        NEW.slot := NULL;
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER posts_state_machine BEFORE UPDATE ON posts FOR EACH ROW EXECUTE FUNCTION posts_state_machine();

-- == In step with 0.2.0 ==============================================================================================

-- Bring a tweet's state in step with its posts.
CREATE FUNCTION tweet_follows(tweet bigint) RETURNS void LANGUAGE sql AS $$
    WITH pressing AS (
        SELECT * FROM posts WHERE tweet_id = tweet
        ORDER BY array_position(ARRAY['claimed', 'unknown', 'posted', 'refused', 'returned'], state),
            account <> 'main', id
        LIMIT 1
    ), new AS (
        SELECT
            CASE
                WHEN p.state = 'claimed' THEN 'posting'
                WHEN p.state IN ('unknown', 'posted') THEN p.state
                WHEN p.state = 'refused' AND t.judgement = 'approved' THEN 'rejected'
                ELSE t.judgement
            END AS state,
            CASE
                WHEN p.state = 'unknown' OR p.state = 'refused' AND t.judgement = 'approved' THEN p.reason
                WHEN t.judgement = 'rejected' THEN t.reason
            END AS reason,
            CASE WHEN p.state IN ('claimed', 'unknown', 'posted') THEN p.claimed_at ELSE t.claimed_at END AS claimed_at,
            p.posted_at, p.post_id, p.post_url
        FROM tweets AS t LEFT JOIN pressing AS p ON true WHERE t.id = tweet
    )
    UPDATE tweets AS t
    SET (state, reason, claimed_at, posted_at, post_id, post_url)
        = (new.state, new.reason, new.claimed_at, new.posted_at, new.post_id, new.post_url)
    FROM new
    WHERE t.id = tweet AND (t.state, t.reason, t.claimed_at, t.posted_at, t.post_id, t.post_url)
        IS DISTINCT FROM (new.state, new.reason, new.claimed_at, new.posted_at, new.post_id, new.post_url)
$$;

CREATE FUNCTION posts_to_tweets() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.account = 'main' THEN
        IF TG_OP = 'UPDATE' THEN
            DELETE FROM post_slots
            WHERE bot = OLD.bot AND due = OLD.slot AND tweet_id = OLD.tweet_id AND OLD.slot IS DISTINCT FROM NEW.slot;
        END IF;
        INSERT INTO post_slots AS s (bot, due, tweet_id)
        SELECT NEW.bot, NEW.slot, NEW.tweet_id WHERE NEW.slot IS NOT NULL
        ON CONFLICT (bot, due) DO UPDATE SET tweet_id = EXCLUDED.tweet_id WHERE s.tweet_id <> EXCLUDED.tweet_id;
    END IF;
    PERFORM tweet_follows(NEW.tweet_id);
    RETURN NULL;
END $$;
CREATE TRIGGER posts_to_tweets AFTER INSERT OR UPDATE ON posts FOR EACH ROW EXECUTE FUNCTION posts_to_tweets();

CREATE FUNCTION tweets_to_posts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state = 'posting' THEN  -- 0.2.0 claimed it
        INSERT INTO posts AS p (tweet_id, bot, account, text, text_key, claimed_at)
        VALUES (NEW.id, NEW.bot, 'main', NEW.text, NEW.text_key, NEW.claimed_at)
        ON CONFLICT (tweet_id, account) DO UPDATE SET
            state = 'claimed', attempts = p.attempts + 1, text = NEW.text, text_key = NEW.text_key,
            claimed_at = NEW.claimed_at, reason = NULL;
    ELSIF NEW.state = 'posted' THEN
        INSERT INTO posts (tweet_id, bot, account, text, text_key, state, claimed_at, posted_at, post_id, post_url)
        VALUES (NEW.id, NEW.bot, 'main', NEW.text, NEW.text_key, 'posted',
            coalesce(NEW.claimed_at, NEW.posted_at), NEW.posted_at, NEW.post_id, NEW.post_url)
        ON CONFLICT (tweet_id, account) DO UPDATE SET
            state = 'posted', posted_at = NEW.posted_at, post_id = NEW.post_id, post_url = NEW.post_url, reason = NULL;
    ELSIF OLD.state = 'posting' THEN  -- a poster of 0.2.0 reports
        UPDATE posts SET
            state = CASE NEW.state WHEN 'rejected' THEN 'refused' WHEN 'unknown' THEN 'unknown' ELSE 'returned' END,
            reason = NEW.reason
        WHERE tweet_id = NEW.id AND account = 'main' AND state = 'claimed';
    ELSIF OLD.state = 'unknown' THEN  -- a person says that it was not posted
        UPDATE posts SET state = 'returned', reason = NEW.reason WHERE tweet_id = NEW.id AND state = 'unknown';
    ELSIF NEW.state = 'approved' THEN  -- a person says: try again
        UPDATE posts SET state = 'returned', reason = NULL WHERE tweet_id = NEW.id AND state = 'refused';
    END IF;
    PERFORM tweet_follows(NEW.id);
    RETURN NULL;
END $$;
CREATE TRIGGER tweets_to_posts AFTER UPDATE ON tweets
    FOR EACH ROW WHEN (pg_trigger_depth() = 0 AND NEW.state <> OLD.state) EXECUTE FUNCTION tweets_to_posts();
CREATE TRIGGER tweets_to_posts_at_once AFTER INSERT ON tweets
    FOR EACH ROW WHEN (NEW.state IN ('posting', 'posted')) EXECUTE FUNCTION tweets_to_posts();

CREATE FUNCTION edits_to_posts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE posts SET text = NEW.text, text_key = NEW.text_key, state = 'returned'
    WHERE tweet_id = NEW.id AND state IN ('refused', 'returned');
    RETURN NULL;
END $$;
CREATE TRIGGER edits_to_posts AFTER UPDATE ON tweets
    FOR EACH ROW WHEN (NEW.text <> OLD.text) EXECUTE FUNCTION edits_to_posts();

CREATE FUNCTION slots_to_posts() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE posts SET slot = NEW.due
    WHERE tweet_id = NEW.tweet_id AND account = 'main' AND state IN ('claimed', 'posted', 'unknown')
        AND slot IS DISTINCT FROM NEW.due;
    RETURN NULL;
END $$;
CREATE TRIGGER slots_to_posts AFTER INSERT OR UPDATE ON post_slots
    FOR EACH ROW WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION slots_to_posts();

-- The doubles: one text goes to an account once.
SELECT set_config('mynah.user', 'migration 0003', true);
UPDATE tweets SET state = 'rejected', decided_at = now(), reason = format('tweet %s is the same text but for white space',
    (SELECT id FROM tweets AS first WHERE first.bot = tweets.bot AND first.text_key = text_key(tweets.text)))
WHERE text_key IS NULL AND state IN ('candidate', 'approved');
SELECT set_config('mynah.user', '', true);

-- == Models and work =================================================================================================

-- Which model is a bot's current one, from when to when. A row begins as an intention, written before the server is
-- told (since is null); it is carried out or withdrawn.
CREATE TABLE served (
    id            bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bot           text NOT NULL CHECK (bot <> ''),
    model         text NOT NULL CHECK (model <> ''),
    asked_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    since         timestamptz,
    until         timestamptz,                  -- null with since: the current one
    withdrawn_at  timestamptz,
    who           text NOT NULL DEFAULT mynah_user(),
    why           text NOT NULL,
    withdrawn_why text,
    CHECK (until IS NULL OR since IS NOT NULL),
    CHECK (withdrawn_at IS NULL OR since IS NULL),
    CHECK ((withdrawn_at IS NULL) = (withdrawn_why IS NULL))
);
CREATE UNIQUE INDEX served_one_pending ON served (bot) WHERE since IS NULL AND withdrawn_at IS NULL;
CREATE UNIQUE INDEX served_one_current ON served (bot) WHERE since IS NOT NULL AND until IS NULL;
CREATE INDEX served_history ON served (bot, id);

-- Models judged bad, or rolled back from: none is tried again unless a person names it.
CREATE TABLE refused (
    bot   text NOT NULL,
    model text NOT NULL,
    at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    who   text NOT NULL DEFAULT mynah_user(),
    why   text NOT NULL,
    PRIMARY KEY (bot, model)
);

-- Who works on what. A lease that was not renewed in time is anybody's; the time is this server's.
CREATE TABLE leases (
    name       text PRIMARY KEY,
    holder     text NOT NULL,
    taken_at   timestamptz NOT NULL,
    expires_at timestamptz NOT NULL
);
