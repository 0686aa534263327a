-- Where an account is signed in, so that the next run need not sign in again: servers allow few sign-ins a day.

CREATE TABLE sessions (
    server        text NOT NULL,
    handle        text NOT NULL,
    session       bytea,        -- encrypted with a key from the account's password, which is not here; NULL: none
    refused       text,         -- why the server did not let us in the last time; NULL: it did
    refused_token bytea,        -- tells, with the password alone, whether that was for the same one; NULL: for any
    refused_until timestamptz,  -- until when it is not asked again
    updated_at    timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (server, handle)
);
