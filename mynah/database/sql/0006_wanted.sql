-- Who waits for a bot's model server. KEDA counts a bot's rows: one starts it, none lets it sleep.

CREATE TABLE wanted (
    id    uuid PRIMARY KEY,
    bot   text NOT NULL,
    what  text NOT NULL,
    who   text NOT NULL DEFAULT coalesce(current_setting('mynah.user', true), ''),
    since timestamptz NOT NULL DEFAULT clock_timestamp(),
    until timestamptz NOT NULL
);

CREATE INDEX wanted_bot ON wanted (bot, until);
