-- What people ask the bots, the texts that answer, and what people think of them. Nobody's address is kept.

CREATE TABLE prompts (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bot      text NOT NULL,
    key      text NOT NULL,                    -- the prompt, its white space folded, in small letters
    visits   bigint NOT NULL DEFAULT 0,
    shown    boolean NOT NULL DEFAULT false,   -- named to others, though few asked it: an operator's own
    first_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    last_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    UNIQUE (bot, key)
) WITH (fillfactor = 80);  -- visits are raised in place

CREATE INDEX prompts_by_prefix ON prompts (bot, key text_pattern_ops);

-- A prompt's texts, of one model and one way to sample. One process writes them, for as long as it renews its claim.
CREATE TABLE answers (
    id          uuid PRIMARY KEY,
    prompt_id   bigint NOT NULL REFERENCES prompts ON DELETE CASCADE,
    model       text NOT NULL,
    sampling    text NOT NULL,
    state       text NOT NULL CHECK (state IN ('writing', 'written', 'failed')),
    phase       text NOT NULL DEFAULT '',      -- what it waits for, while it is written
    texts       jsonb NOT NULL DEFAULT '[]',   -- the best first
    why         text,                          -- it failed
    askers      integer NOT NULL DEFAULT 1,    -- who waits for it, less those who stopped; without any, it is ended
    holder      uuid NOT NULL,
    expires_at  timestamptz NOT NULL,
    asked_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    answered_at timestamptz,
    UNIQUE (prompt_id, model, sampling),
    CHECK ((state = 'written') = (answered_at IS NOT NULL)),
    CHECK ((state = 'failed') = (why IS NOT NULL))
);

CREATE INDEX answers_writing ON answers (asked_at) WHERE state = 'writing';

CREATE TABLE opinions (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    answer_id uuid NOT NULL REFERENCES answers ON DELETE CASCADE,
    place     integer NOT NULL CHECK (place >= 0),
    opinion   text NOT NULL CHECK (opinion IN ('like', 'report')),
    reason    text NOT NULL DEFAULT '',
    at        timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- What was asked and thought, by bot and day.
CREATE TABLE play_days (
    bot    text NOT NULL,
    day    date NOT NULL,
    what   text NOT NULL CHECK (what IN ('visit', 'prompt', 'like', 'report')),
    number bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (bot, day, what)
);
