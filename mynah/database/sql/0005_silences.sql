-- Accounts that gave texts and give none any more, though they should: a source's last whole scrape says which.

CREATE TABLE silences (
    bot     text NOT NULL,
    source  text NOT NULL,
    account text NOT NULL,
    since   timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (bot, source, account)
);
