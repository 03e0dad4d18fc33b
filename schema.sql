-- The whole current schema of a patd database (SQLite, user_version 7). An older file is stepped up to exactly this
-- by src/store/sqlite/migrations.rs. Times are Unix seconds, identifiers the 16 bytes of a UUIDv7.
--
-- A CHECK compares with OR where it would name three values or more: for an IN so long SQLite builds a table at each
-- statement, and three of those were about a third of what the writer did for a creation.

-- Binds the write-ahead log to the file: both carry this row (src/store/sqlite/binding/mod.rs).
CREATE TABLE log_binding (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    -- By this text its page is recognised in the log.
    marker TEXT NOT NULL CHECK (marker = 'patd log binding'),
    database_id BLOB NOT NULL CHECK (length(database_id) = 16),
    generation INTEGER NOT NULL CHECK (generation > 0),
    -- Random, and drawn anew by the first transaction of each log.
    nonce BLOB NOT NULL CHECK (length(nonce) = 16),
    -- NULL in the first generation.
    previous_nonce BLOB CHECK (length(previous_nonce) = 16)
) STRICT;

INSERT INTO log_binding VALUES (1, 'patd log binding', randomblob(16), 1, randomblob(16), NULL);

CREATE TABLE users (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    email TEXT NOT NULL CHECK (length(CAST(email AS BLOB)) BETWEEN 3 AND 254),
    -- Case, width and normal form folded: by this, two spellings are one account.
    email_canonical TEXT NOT NULL UNIQUE CHECK (length(CAST(email_canonical AS BLOB)) BETWEEN 3 AND 254),
    -- argon2id as a PHC string, so that each row carries the parameters it was made with.
    password_hash TEXT NOT NULL CHECK (password_hash LIKE '$argon2id$%' AND length(password_hash) <= 255),
    created_at INTEGER NOT NULL,
    disabled_at INTEGER,
    -- The environment that the user works in. User and first environment refer to each other, hence deferred.
    current_environment_id BLOB NOT NULL REFERENCES environments (id) DEFERRABLE INITIALLY DEFERRED
        CHECK (length(current_environment_id) = 16)
) STRICT, WITHOUT ROWID;

-- Without it, whoever deletes an environment would have every user read.
CREATE INDEX users_by_current_environment ON users (current_environment_id);

CREATE TABLE environments (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    owner_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    -- The one that a user is given with their account.
    is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX environments_by_owner ON environments (owner_id, created_at);
CREATE UNIQUE INDEX environments_default ON environments (owner_id) WHERE is_default = 1;

-- With whom an environment is shared; its owner is no member.
CREATE TABLE environment_members (
    environment_id BLOB NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('admin', 'viewer')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (environment_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX environment_members_by_user ON environment_members (user_id);

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
    -- Of a token of an environment, the environment's owner: their being disabled refuses it.
    owner_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    hint TEXT NOT NULL CHECK (length(hint) = 4),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    -- Joined by a space, which no ability contains; '' is a token that may do nothing.
    abilities TEXT NOT NULL CHECK (length(abilities) <= 10099),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER,
    -- NULL is a personal token.
    environment_id BLOB REFERENCES environments (id) ON DELETE CASCADE CHECK (length(environment_id) = 16),
    -- The id of the first of a chain of rotations: a token that was never rotated is a family of its own.
    family_id BLOB NOT NULL CHECK (length(family_id) = 16),
    rotated_from BLOB CHECK (length(rotated_from) = 16),
    -- A token that was rotated is refused from then on, or from the first use of its successor.
    grace_ends_at INTEGER,
    ends_on_first_use INTEGER NOT NULL DEFAULT 0 CHECK (ends_on_first_use IN (0, 1)),
    disabled_at INTEGER,
    revoked_reason TEXT CHECK (revoked_reason = 'revoked_by_owner' OR revoked_reason = 'rotated'
        OR revoked_reason = 'leaked' OR revoked_reason = 'owner_disabled' OR revoked_reason = 'reuse_detected'
        OR revoked_reason = 'expired'),
    -- Networks (CIDR) joined by a space; NULL is from anywhere.
    ip_allowlist TEXT CHECK (length(ip_allowlist) BETWEEN 1 AND 4399),
    requests_per_minute INTEGER CHECK (requests_per_minute > 0),
    quota INTEGER CHECK (quota > 0),
    quota_used INTEGER NOT NULL DEFAULT 0 CHECK (quota_used >= 0),
    -- Tokens with the same lineage are in the same hands: a token, the successors that it made by itself, and what those
    -- made by themselves. It is the id of the first of them; NULL is the token's own id. A successor that the owner made
    -- with a session begins a lineage.
    lineage_id BLOB CHECK (length(lineage_id) = 16),
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL)),
    CHECK (ends_on_first_use = 0 OR grace_ends_at IS NOT NULL)
) STRICT;

CREATE INDEX tokens_by_owner ON tokens (owner_id, number);
-- Counts an owner's live personal tokens at each creation without touching the table. SQLite reads the columns of the
-- condition, so that the index has to hold them although they are always NULL.
CREATE INDEX tokens_live_by_owner ON tokens (owner_id, expires_at, revoked_at, environment_id)
    WHERE revoked_at IS NULL AND environment_id IS NULL;
-- These four hold nothing of a personal token that was never rotated, so that making one does not pay for them. The
-- first of a family is found by its id.
CREATE INDEX tokens_by_environment ON tokens (environment_id, number) WHERE environment_id IS NOT NULL;
-- As above, of an environment.
CREATE INDEX tokens_live_by_environment ON tokens (environment_id, expires_at, revoked_at)
    WHERE revoked_at IS NULL AND environment_id IS NOT NULL;
CREATE INDEX tokens_by_family ON tokens (family_id, rotated_from) WHERE rotated_from IS NOT NULL;
-- A token has one successor that is not revoked. By its family, so that whoever ends one need not read what had ended.
CREATE UNIQUE INDEX tokens_live_successor ON tokens (family_id, rotated_from)
    WHERE rotated_from IS NOT NULL AND revoked_at IS NULL;

-- From where a token was used, its latest few addresses.
CREATE TABLE token_addresses (
    token_id BLOB NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    address TEXT NOT NULL CHECK (length(address) BETWEEN 2 AND 45),
    user_agent TEXT CHECK (length(user_agent) <= 255),
    last_used_at INTEGER NOT NULL,
    PRIMARY KEY (token_id, address)
) STRICT, WITHOUT ROWID;

-- What was done, and which attempts were refused. It outlives what it tells of, hence no REFERENCES.
CREATE TABLE audit_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    -- In whose trail it is; NULL is nobody's.
    user_id BLOB CHECK (length(user_id) = 16),
    actor_kind TEXT NOT NULL CHECK (actor_kind = 'session' OR actor_kind = 'personal_access_token'
        OR actor_kind = 'environment_token' OR actor_kind = 'command_line' OR actor_kind = 'anonymous'
        OR actor_kind = 'system'),
    actor_id BLOB CHECK (length(actor_id) = 16),
    action TEXT NOT NULL CHECK (length(action) BETWEEN 1 AND 64),
    target_kind TEXT NOT NULL CHECK (target_kind = 'user' OR target_kind = 'session'
        OR target_kind = 'personal_access_token' OR target_kind = 'environment_token' OR target_kind = 'environment'),
    target_id BLOB CHECK (length(target_id) = 16),
    address TEXT CHECK (length(address) BETWEEN 2 AND 45),
    request_id TEXT CHECK (length(request_id) BETWEEN 1 AND 128),
    outcome TEXT NOT NULL CHECK (outcome IN ('success', 'refused')),
    -- Long enough for an old and a new e-mail address.
    detail TEXT CHECK (length(detail) BETWEEN 1 AND 512)
) STRICT;

CREATE INDEX audit_events_by_user ON audit_events (user_id, seq);

CREATE TRIGGER audit_events_are_not_changed BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'an audit event is never changed');
END;

-- The time before which events may be deleted. It has its row only within a transaction that prunes.
CREATE TABLE audit_pruning (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    before INTEGER NOT NULL
) STRICT;

CREATE TRIGGER audit_events_are_not_deleted BEFORE DELETE ON audit_events
WHEN NOT EXISTS (SELECT 1 FROM audit_pruning WHERE before > old.at)
BEGIN
    SELECT RAISE(ABORT, 'an audit event is never deleted');
END;

-- Counters of attempts that are not at rest, so that a restart forgives nothing. Subject and origin are keyed hashes of
-- an account or a user, and of a network or a session; all zero where there is none.
CREATE TABLE attempts (
    scope TEXT NOT NULL CHECK (length(scope) BETWEEN 1 AND 32),
    subject BLOB NOT NULL CHECK (length(subject) = 16),
    origin BLOB NOT NULL CHECK (length(origin) = 16),
    rests_at INTEGER NOT NULL,
    PRIMARY KEY (scope, subject, origin)
) STRICT, WITHOUT ROWID;

-- The key of those hashes, and of what else must be the same after a restart and nobody may predict.
CREATE TABLE attempts_key (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    key BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;

INSERT INTO attempts_key (only_row, key) VALUES (1, randomblob(32));

-- What a readiness probe writes, so that it shows whether a write works: the same few rows again and again. `filler`
-- gives each row a page of its own.
CREATE TABLE write_probes (
    number INTEGER PRIMARY KEY,
    turn INTEGER NOT NULL,
    filler BLOB NOT NULL
) STRICT;

-- The latest time that a server recorded, so that the next start notices a wrong system clock.
CREATE TABLE clock (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    latest_time INTEGER NOT NULL,
    -- The number of the last event at that time: later events know a later time.
    last_event INTEGER NOT NULL
) STRICT;
