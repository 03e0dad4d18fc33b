-- The whole current schema of a patd database (SQLite, user_version 1). An older file is stepped up to exactly this
-- by src/store/sqlite/migrations.rs. Times are Unix seconds, identifiers the 16 bytes of a UUIDv7.

CREATE TABLE users (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    email TEXT NOT NULL CHECK (length(CAST(email AS BLOB)) BETWEEN 3 AND 254),
    -- Case, width and normal form folded: by this, two spellings are one account.
    email_canonical TEXT NOT NULL UNIQUE CHECK (length(CAST(email_canonical AS BLOB)) BETWEEN 3 AND 254),
    -- argon2id as a PHC string, so that each row carries the parameters it was made with.
    password_hash TEXT NOT NULL CHECK (password_hash LIKE '$argon2id$%' AND length(password_hash) <= 255),
    created_at INTEGER NOT NULL,
    disabled_at INTEGER
) STRICT, WITHOUT ROWID;

CREATE TABLE sessions (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    device_name TEXT CHECK (length(device_name) BETWEEN 1 AND 255),
    created_at INTEGER NOT NULL,
    last_used_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL CHECK (expires_at > created_at)
) STRICT, WITHOUT ROWID;

CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE tokens (
    -- The N of N|pat_…; AUTOINCREMENT, so that a number is never given twice.
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    owner_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    hint TEXT NOT NULL CHECK (length(hint) = 4),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    -- Joined by a space, which no ability contains; '' is a token that may do nothing.
    abilities TEXT NOT NULL CHECK (length(abilities) <= 10099),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER
) STRICT;

CREATE INDEX tokens_by_owner ON tokens (owner_id, number);
-- Counts an owner's live tokens at each creation without touching the table.
CREATE INDEX tokens_live_by_owner ON tokens (owner_id, expires_at) WHERE revoked_at IS NULL;
