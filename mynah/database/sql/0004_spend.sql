-- What asking a service costs: a row per request, written before it is sent and corrected by what came back.
--
--   (no row) ──▶ reserved ──▶ settled
--                 cost: the most      cost: what it was
--
-- A row that stays reserved was left by a process that ended in between. It counts in full, since the service may have
-- served the request; but the same request, sent again on the same UTC day, takes it up: what was served is free then.

CREATE TABLE spend (
    id          uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    bot         text NOT NULL,
    source      text NOT NULL,
    request     text NOT NULL,                      -- what is asked for, in the source's words: the same words, the same
    sent        jsonb NOT NULL,                     -- how exactly it is asked, and asked again
    cost        numeric(12, 6) NOT NULL CHECK (cost >= 0),  -- dollars
    reserved_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    settled_at  timestamptz
);
CREATE INDEX spend_by_time ON spend (bot, reserved_at);
CREATE INDEX spend_reserved ON spend (bot, source, request) WHERE settled_at IS NULL;
