-- Trainings, numbered by bot, wherever they ran; and what they said, so that another machine can follow.
--
--   running ──▶ done | failed | stopped
--
-- A run whose trainer was killed stays running here, but nobody holds its lease: it is shown as interrupted. One that is
-- gone on with is running again, and keeps its number.

-- The last number that a bot's runs have had. It only grows, so that a number means one run for ever.
CREATE TABLE run_numbers (
    bot  text PRIMARY KEY,
    last integer NOT NULL
);

CREATE TABLE runs (
    bot             text NOT NULL CHECK (bot <> ''),
    number          integer NOT NULL CHECK (number > 0),
    id              text NOT NULL CHECK (id <> ''),  -- as in the bucket; its model's too
    kind            text NOT NULL CHECK (kind IN ('train', 'distill', 'prefer')),
    state           text NOT NULL DEFAULT 'running' CHECK (state IN ('running', 'done', 'failed', 'stopped')),
    lease           text NOT NULL,                   -- the name of what its trainer holds in `leases`
    holder          text NOT NULL,                   -- and as whom
    host            text NOT NULL,
    who             text NOT NULL DEFAULT mynah_user(),
    dataset         text NOT NULL,
    base            text NOT NULL,
    model           text,                            -- once it is published
    began_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    seen_at         timestamptz NOT NULL DEFAULT clock_timestamp(),  -- when its trainer last wrote here
    ended_at        timestamptz,
    seconds         double precision NOT NULL DEFAULT 0,  -- that trainers have worked at it, whatever became of them
    progress        jsonb NOT NULL DEFAULT '{}',     -- the newest point
    metrics         jsonb NOT NULL DEFAULT '{}',
    samples         jsonb NOT NULL DEFAULT '[]',
    why             text,                            -- it failed, or was stopped
    stop_asked_at   timestamptz,
    stop_asked_by   text,
    PRIMARY KEY (bot, number),
    UNIQUE (bot, id),
    CHECK ((state = 'running') = (ended_at IS NULL)),
    CHECK ((state = 'done') = (model IS NOT NULL)),
    CHECK ((stop_asked_at IS NULL) = (stop_asked_by IS NULL))
);

-- What a run's trainer told people, a line a row.
CREATE TABLE run_lines (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    bot    text NOT NULL,
    number integer NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    line   text NOT NULL,
    FOREIGN KEY (bot, number) REFERENCES runs ON DELETE CASCADE
);
CREATE INDEX run_lines_of_run ON run_lines (bot, number, id);

-- How far a run had come, every few seconds: step, steps, loss, dev_loss, learning_rate, tokens_per_second, seconds_left.
CREATE TABLE run_points (
    bot    text NOT NULL,
    number integer NOT NULL,
    step   integer NOT NULL,
    at     timestamptz NOT NULL DEFAULT clock_timestamp(),
    point  jsonb NOT NULL,
    PRIMARY KEY (bot, number, step),
    FOREIGN KEY (bot, number) REFERENCES runs ON DELETE CASCADE
);
