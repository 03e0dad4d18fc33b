-- Upgrades version 7 to 8.

-- Service accounts are users without an address, and invited users have no password yet. Audit events get the user who
-- acted, and digests of what was erased. Every stored row fits the new definitions, and the new columns are last and have
-- constant defaults. So only the definitions are edited and no row is written.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = 'CREATE TABLE users (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    email TEXT CHECK (length(CAST(email AS BLOB)) BETWEEN 3 AND 254),
    email_canonical TEXT UNIQUE CHECK (length(CAST(email_canonical AS BLOB)) BETWEEN 3 AND 254),
    password_hash TEXT CHECK (password_hash LIKE ''$argon2id$%'' AND length(password_hash) <= 255),
    created_at INTEGER NOT NULL,
    disabled_at INTEGER,
    current_environment_id BLOB REFERENCES environments (id) DEFERRABLE INITIALLY DEFERRED
        CHECK (length(current_environment_id) = 16),
    kind TEXT NOT NULL DEFAULT ''user'' CHECK (kind IN (''user'', ''service_account'')),
    role TEXT NOT NULL DEFAULT ''member'' CHECK (role IN (''member'', ''admin'')),
    description TEXT CHECK (length(description) BETWEEN 1 AND 1000),
    CHECK ((kind = ''user'') = (email IS NOT NULL)),
    CHECK ((email IS NULL) = (email_canonical IS NULL)),
    CHECK ((kind = ''user'') = (current_environment_id IS NOT NULL)),
    CHECK (kind = ''user'' OR (password_hash IS NULL AND role = ''member'')),
    CHECK (kind = ''service_account'' OR description IS NULL)
) STRICT, WITHOUT ROWID'
WHERE type = 'table' AND name = 'users';
UPDATE sqlite_schema SET sql = 'CREATE TABLE audit_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    user_id BLOB CHECK (length(user_id) = 16),
    actor_kind TEXT NOT NULL CHECK (actor_kind = ''session'' OR actor_kind = ''personal_access_token''
        OR actor_kind = ''environment_token'' OR actor_kind = ''command_line'' OR actor_kind = ''anonymous''
        OR actor_kind = ''system''),
    actor_id BLOB CHECK (length(actor_id) = 16),
    action TEXT NOT NULL CHECK (length(action) BETWEEN 1 AND 64),
    target_kind TEXT NOT NULL CHECK (target_kind = ''user'' OR target_kind = ''session''
        OR target_kind = ''personal_access_token'' OR target_kind = ''environment_token'' OR target_kind = ''environment''
        OR target_kind = ''service_account'' OR target_kind = ''database''),
    target_id BLOB CHECK (length(target_id) = 16),
    address TEXT CHECK (length(address) BETWEEN 2 AND 45),
    request_id TEXT CHECK (length(request_id) BETWEEN 1 AND 128),
    outcome TEXT NOT NULL CHECK (outcome IN (''success'', ''refused'')),
    detail TEXT CHECK (length(detail) BETWEEN 1 AND 512),
    actor_user_id BLOB CHECK (length(actor_user_id) = 16),
    erased_address BLOB CHECK (length(erased_address) = 32),
    erased_detail BLOB CHECK (length(erased_detail) = 32),
    CHECK (erased_address IS NULL OR address IS NULL),
    CHECK (erased_detail IS NULL OR detail IS NULL)
) STRICT'
WHERE type = 'table' AND name = 'audit_events';
PRAGMA writable_schema = RESET;

CREATE INDEX users_admins ON users (id) WHERE role = 'admin';
CREATE INDEX users_service_accounts ON users (id) WHERE kind = 'service_account';
CREATE INDEX users_by_name ON users (lower(name), id);

CREATE TABLE service_account_managers (
    service_account_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (service_account_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX service_account_managers_by_user ON service_account_managers (user_id);

CREATE TABLE password_links (
    user_id BLOB PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL CHECK (expires_at > created_at)
) STRICT, WITHOUT ROWID;

ALTER TABLE tokens ADD COLUMN description TEXT CHECK (length(description) BETWEEN 1 AND 1000);
ALTER TABLE tokens ADD COLUMN metadata TEXT CHECK (length(metadata) BETWEEN 2 AND 60000);
ALTER TABLE tokens ADD COLUMN canary INTEGER NOT NULL DEFAULT 0 CHECK (canary IN (0, 1));
ALTER TABLE tokens ADD COLUMN created_by BLOB CHECK (length(created_by) = 16);

CREATE INDEX tokens_by_expiry ON tokens (expires_at, number) WHERE expires_at IS NOT NULL;
CREATE INDEX tokens_by_last_use ON tokens (last_used_at, number) WHERE last_used_at IS NOT NULL;

CREATE TABLE token_usage (
    token_number INTEGER NOT NULL REFERENCES tokens (number) ON DELETE CASCADE,
    -- Days since 1970-01-01 in UTC.
    day INTEGER NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('policy', 'ability')),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    allowed INTEGER NOT NULL DEFAULT 0 CHECK (allowed >= 0),
    refused INTEGER NOT NULL DEFAULT 0 CHECK (refused >= 0),
    PRIMARY KEY (token_number, day, kind, name)
) STRICT, WITHOUT ROWID;

CREATE INDEX token_usage_by_day ON token_usage (day);

-- Since when uses have been counted without a gap. No row while they are not counted.
CREATE TABLE token_usage_counting (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    since INTEGER NOT NULL
) STRICT;

-- The last written batch of counts of each part of each process, so that a batch whose outcome was unknown is not added
-- twice. The rows of a process that has ended stay until the counts of the last day are pruned.
CREATE TABLE token_usage_batches (
    process_id BLOB NOT NULL CHECK (length(process_id) = 16),
    part INTEGER NOT NULL,
    batch INTEGER NOT NULL,
    last_day INTEGER NOT NULL,
    PRIMARY KEY (process_id, part)
) STRICT, WITHOUT ROWID;

CREATE INDEX audit_events_by_other_actor ON audit_events (actor_user_id, seq)
    WHERE actor_user_id IS NOT NULL AND user_id IS NOT actor_user_id;

CREATE TABLE audit_salts (
    user_id BLOB PRIMARY KEY NOT NULL CHECK (length(user_id) = 16),
    salt BLOB NOT NULL CHECK (length(salt) = 32)
) STRICT, WITHOUT ROWID;

INSERT INTO audit_salts (user_id, salt) VALUES (x'ffffffffffffffffffffffffffffffff', randomblob(32));
INSERT INTO audit_salts (user_id, salt) SELECT id, randomblob(32) FROM users;

CREATE TABLE audit_seals (
    number INTEGER PRIMARY KEY CHECK (number > 0),
    kind TEXT NOT NULL CHECK (kind IN ('events', 'pruning')),
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL CHECK (last_seq >= first_seq),
    events INTEGER NOT NULL CHECK (events > 0),
    latest_at INTEGER NOT NULL,
    sealed_at INTEGER NOT NULL,
    content BLOB NOT NULL CHECK (length(content) = 32),
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    pruned_by INTEGER REFERENCES audit_seals (number) CHECK (kind = 'events' OR pruned_by IS NULL)
) STRICT;

CREATE INDEX audit_seals_to_prune ON audit_seals (latest_at, number) WHERE kind = 'events' AND pruned_by IS NULL;
CREATE INDEX audit_seals_by_pruning ON audit_seals (pruned_by, number) WHERE pruned_by IS NOT NULL;

CREATE TRIGGER audit_seals_are_not_deleted BEFORE DELETE ON audit_seals
BEGIN
    SELECT RAISE(ABORT, 'a seal is never deleted');
END;

CREATE TABLE audit_erasure (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    user_id BLOB NOT NULL CHECK (length(user_id) = 16)
) STRICT;

DROP TRIGGER audit_events_are_not_changed;

-- Who acted in the trail of another user. An erasure needs it to find the address of that user.
UPDATE audit_events SET actor_user_id = unhex(replace(substr(detail, -36), '-', ''))
WHERE detail LIKE '%by user ________-____-____-____-____________' AND actor_kind IN ('session', 'personal_access_token')
    AND length(unhex(replace(substr(detail, -36), '-', ''))) = 16;

CREATE TRIGGER audit_events_are_not_changed BEFORE UPDATE ON audit_events
WHEN NOT EXISTS (SELECT 1 FROM audit_erasure WHERE user_id = old.user_id OR user_id = old.actor_user_id)
    OR new.seq IS NOT old.seq OR new.at IS NOT old.at OR new.user_id IS NOT old.user_id
    OR new.actor_kind IS NOT old.actor_kind OR new.actor_id IS NOT old.actor_id OR new.action IS NOT old.action
    OR new.target_kind IS NOT old.target_kind OR new.target_id IS NOT old.target_id
    OR new.request_id IS NOT old.request_id OR new.outcome IS NOT old.outcome
    OR new.actor_user_id IS NOT old.actor_user_id
    OR (new.address IS NOT old.address OR new.erased_address IS NOT old.erased_address)
        AND (old.address IS NULL OR new.address IS NOT NULL OR new.erased_address IS NULL)
    OR (new.detail IS NOT old.detail OR new.erased_detail IS NOT old.erased_detail)
        AND (old.detail IS NULL OR new.detail IS NOT NULL OR new.erased_detail IS NULL)
BEGIN
    SELECT RAISE(ABORT, 'an audit event is never changed');
END;

CREATE TRIGGER audit_seals_are_not_changed BEFORE UPDATE ON audit_seals
WHEN NOT EXISTS (SELECT 1 FROM audit_pruning WHERE before > old.latest_at) OR old.pruned_by IS NOT NULL
    OR new.number IS NOT old.number OR new.kind IS NOT old.kind OR new.first_seq IS NOT old.first_seq
    OR new.last_seq IS NOT old.last_seq OR new.events IS NOT old.events OR new.latest_at IS NOT old.latest_at
    OR new.sealed_at IS NOT old.sealed_at OR new.content IS NOT old.content OR new.digest IS NOT old.digest
BEGIN
    SELECT RAISE(ABORT, 'a seal is never changed');
END;

CREATE TABLE owed_scrub (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    next_page INTEGER NOT NULL CHECK (next_page > 0),
    pages_left INTEGER NOT NULL CHECK (pages_left >= 0)
) STRICT;

CREATE TABLE database_copy (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    source BLOB NOT NULL CHECK (length(source) = 32)
) STRICT;

-- A limit may allow more than one attempt a second.
ALTER TABLE attempts RENAME COLUMN rests_at TO rests_at_micros;
UPDATE attempts SET rests_at_micros = rests_at_micros * 1000000;
