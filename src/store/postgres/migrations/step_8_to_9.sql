-- Upgrades version 8 to 9.

CREATE TABLE keyed_requests (
    account_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key bytea NOT NULL CHECK (octet_length(key) = 32),
    request bytea NOT NULL CHECK (octet_length(request) = 32),
    made_id uuid NOT NULL,
    made_at bigint NOT NULL,
    PRIMARY KEY (account_id, key)
);

CREATE INDEX keyed_requests_by_time ON keyed_requests (made_at);
