-- Version 2 to 3: environments, what a token's life needs, and the audit trail. A step that was released is never
-- edited. Tables are rebuilt beside their old selves, which foreign keys that are switched off keep from taking the rows
-- of others along; the migration checks them all before it commits.

CREATE TABLE environments (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    owner_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX environments_by_owner ON environments (owner_id, created_at);
CREATE UNIQUE INDEX environments_default ON environments (owner_id) WHERE is_default = 1;

-- UUIDv7: the time in milliseconds, the version, 12 random bits, the variant, 62 more.
INSERT INTO environments (id, owner_id, name, is_default, created_at)
SELECT unhex(printf('%012x7%03x%04x%012x', max(created_at, 0) * 1000, random() & 4095,
                    32768 | (random() & 16383), random() & 281474976710655)),
       id, 'Default', 1, created_at
FROM users;

CREATE TABLE environment_members (
    environment_id BLOB NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('admin', 'viewer')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (environment_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX environment_members_by_user ON environment_members (user_id);

CREATE TABLE new_users (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    email TEXT NOT NULL CHECK (length(CAST(email AS BLOB)) BETWEEN 3 AND 254),
    email_canonical TEXT NOT NULL UNIQUE CHECK (length(CAST(email_canonical AS BLOB)) BETWEEN 3 AND 254),
    password_hash TEXT NOT NULL CHECK (password_hash LIKE '$argon2id$%' AND length(password_hash) <= 255),
    created_at INTEGER NOT NULL,
    disabled_at INTEGER,
    current_environment_id BLOB NOT NULL REFERENCES environments (id) DEFERRABLE INITIALLY DEFERRED
        CHECK (length(current_environment_id) = 16)
) STRICT, WITHOUT ROWID;

INSERT INTO new_users (id, name, email, email_canonical, password_hash, created_at, disabled_at, current_environment_id)
SELECT u.id, u.name, u.email, u.email_canonical, u.password_hash, u.created_at, u.disabled_at, e.id
FROM users u JOIN environments e ON e.owner_id = u.id;
DROP TABLE users;
ALTER TABLE new_users RENAME TO users;

CREATE TABLE new_tokens (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    owner_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    hint TEXT NOT NULL CHECK (length(hint) = 4),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    abilities TEXT NOT NULL CHECK (length(abilities) <= 10099),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER,
    environment_id BLOB REFERENCES environments (id) ON DELETE CASCADE CHECK (length(environment_id) = 16),
    family_id BLOB NOT NULL CHECK (length(family_id) = 16),
    rotated_from BLOB CHECK (length(rotated_from) = 16),
    grace_ends_at INTEGER,
    ends_on_first_use INTEGER NOT NULL DEFAULT 0 CHECK (ends_on_first_use IN (0, 1)),
    disabled_at INTEGER,
    revoked_reason TEXT CHECK (revoked_reason IN
        ('revoked_by_owner', 'rotated', 'leaked', 'owner_disabled', 'reuse_detected', 'expired')),
    ip_allowlist TEXT CHECK (length(ip_allowlist) BETWEEN 1 AND 4399),
    requests_per_minute INTEGER CHECK (requests_per_minute > 0),
    quota INTEGER CHECK (quota > 0),
    quota_used INTEGER NOT NULL DEFAULT 0 CHECK (quota_used >= 0),
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL)),
    CHECK (ends_on_first_use = 0 OR grace_ends_at IS NOT NULL)
) STRICT;

INSERT INTO new_tokens (number, id, owner_id, hash, hint, name, abilities, created_at, expires_at, last_used_at,
                        revoked_at, environment_id, family_id, revoked_reason)
SELECT number, id, owner_id, hash, hint, name, abilities, created_at, expires_at, last_used_at, revoked_at,
       environment_id, id, CASE WHEN revoked_at IS NOT NULL THEN 'revoked_by_owner' END
FROM tokens ORDER BY number;
-- The highest number that was ever given, be its token there or not.
DELETE FROM sqlite_sequence WHERE name = 'new_tokens';
INSERT INTO sqlite_sequence (name, seq) SELECT 'new_tokens', seq FROM sqlite_sequence WHERE name = 'tokens';
DROP TABLE tokens;
ALTER TABLE new_tokens RENAME TO tokens;
CREATE INDEX tokens_by_owner ON tokens (owner_id, number);
CREATE INDEX tokens_live_by_owner ON tokens (owner_id, expires_at, revoked_at, environment_id)
    WHERE revoked_at IS NULL AND environment_id IS NULL;
CREATE INDEX tokens_by_environment ON tokens (environment_id, number) WHERE environment_id IS NOT NULL;
CREATE INDEX tokens_by_family ON tokens (family_id) WHERE rotated_from IS NOT NULL;
CREATE UNIQUE INDEX tokens_live_successor ON tokens (rotated_from)
    WHERE rotated_from IS NOT NULL AND revoked_at IS NULL;

CREATE TABLE token_addresses (
    token_id BLOB NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    address TEXT NOT NULL CHECK (length(address) BETWEEN 2 AND 45),
    user_agent TEXT CHECK (length(user_agent) <= 255),
    last_used_at INTEGER NOT NULL,
    PRIMARY KEY (token_id, address)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    user_id BLOB CHECK (length(user_id) = 16),
    actor_kind TEXT NOT NULL CHECK (actor_kind IN
        ('session', 'personal_access_token', 'environment_token', 'command_line', 'anonymous', 'system')),
    actor_id BLOB CHECK (length(actor_id) = 16),
    action TEXT NOT NULL CHECK (length(action) BETWEEN 1 AND 64),
    target_kind TEXT NOT NULL CHECK (target_kind IN
        ('user', 'session', 'personal_access_token', 'environment_token', 'environment')),
    target_id BLOB CHECK (length(target_id) = 16),
    address TEXT CHECK (length(address) BETWEEN 2 AND 45),
    request_id TEXT CHECK (length(request_id) BETWEEN 1 AND 128),
    outcome TEXT NOT NULL CHECK (outcome IN ('success', 'refused')),
    detail TEXT CHECK (length(detail) BETWEEN 1 AND 255)
) STRICT;

CREATE INDEX audit_events_by_user ON audit_events (user_id, seq);

CREATE TRIGGER audit_events_are_not_changed BEFORE UPDATE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'an audit event is never changed');
END;
CREATE TRIGGER audit_events_are_not_deleted BEFORE DELETE ON audit_events
BEGIN
    SELECT RAISE(ABORT, 'an audit event is never deleted');
END;
