-- What a bot may say, has said, and will not say. One row a text.
--
--   candidate ──▶ approved ──▶ posting ──▶ posted
--       │  ▲         │ ▲          │
--       ▼  │         ▼ │          ▼
--     rejected ◀───────┴────── unknown        (unknown: nobody can tell whether it was posted)

CREATE TABLE tweets (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bot        text NOT NULL CHECK (bot <> ''),
    text       text NOT NULL CHECK (btrim(text) <> ''),
    state      text NOT NULL DEFAULT 'candidate'
               CHECK (state IN ('candidate', 'approved', 'posting', 'posted', 'rejected', 'unknown')),
    reason     text,                              -- why it was rejected, or why nobody knows
    prompt     text NOT NULL DEFAULT '',
    model      text,                              -- id of the model that wrote it; null: a person did
    score      double precision CHECK (score BETWEEN 0 AND 1),
    scores     jsonb NOT NULL DEFAULT '{}',       -- the parts of the score by name
    created_at timestamptz NOT NULL DEFAULT now(),
    decided_at timestamptz,                       -- approved or rejected
    claimed_at timestamptz,                       -- taken by a poster
    posted_at  timestamptz,
    post_id    text CHECK (post_id <> ''),
    post_url   text,
    CONSTRAINT posted_has_post   CHECK ((state = 'posted') = (post_id IS NOT NULL)),
    CONSTRAINT posted_has_time   CHECK ((state = 'posted') = (posted_at IS NOT NULL)),
    CONSTRAINT posting_has_claim CHECK (state <> 'posting' OR claimed_at IS NOT NULL),
    CONSTRAINT refusal_has_reason CHECK (state NOT IN ('rejected', 'unknown') OR reason IS NOT NULL)
);

-- A text is said once a bot; hashed, because an index entry holds at most 2,704 bytes.
CREATE UNIQUE INDEX tweets_text_once ON tweets (bot, md5(text));
CREATE INDEX tweets_by_state ON tweets (bot, state, score DESC);
-- One post on X is one row here.
CREATE UNIQUE INDEX tweets_post_once ON tweets (post_id) WHERE post_id IS NOT NULL;

CREATE FUNCTION tweets_state_machine() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.state <> OLD.state AND (OLD.state, NEW.state) NOT IN (
        ('candidate', 'approved'), ('candidate', 'rejected'),
        ('approved', 'candidate'), ('approved', 'rejected'), ('approved', 'posting'),
        ('rejected', 'candidate'), ('rejected', 'approved'),
        ('posting', 'posted'), ('posting', 'approved'), ('posting', 'rejected'), ('posting', 'unknown'),
        ('unknown', 'posted'), ('unknown', 'approved'), ('unknown', 'rejected')
    ) THEN
        RAISE EXCEPTION 'tweet % cannot go from % to %', OLD.id, OLD.state, NEW.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'tweets_state_machine';
    END IF;
    IF OLD.state IN ('posting', 'posted') AND NEW.text <> OLD.text THEN
        RAISE EXCEPTION 'tweet % is % and its text stays as it is', OLD.id, OLD.state
            USING ERRCODE = 'check_violation', CONSTRAINT = 'tweets_text_fixed';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER tweets_state_machine BEFORE UPDATE ON tweets
    FOR EACH ROW EXECUTE FUNCTION tweets_state_machine();
