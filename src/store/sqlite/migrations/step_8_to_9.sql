-- Upgrades version 8 to 9.

-- What requests with an Idempotency-Key have made, for a day. Of the key and of the request there are only digests.
CREATE TABLE keyed_requests (
    account_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key BLOB NOT NULL CHECK (length(key) = 32),
    request BLOB NOT NULL CHECK (length(request) = 32),
    made_id BLOB NOT NULL CHECK (length(made_id) = 16),
    made_at INTEGER NOT NULL,
    PRIMARY KEY (account_id, key)
) STRICT, WITHOUT ROWID;

CREATE INDEX keyed_requests_by_time ON keyed_requests (made_at);
