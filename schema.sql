-- The whole current schema of a patd database (SQLite, user_version 9). src/store/sqlite/migrations.rs upgrades an
-- older file to exactly this. Times are Unix seconds. Identifiers are the 16 bytes of a UUIDv7.
--
-- A CHECK with three values or more uses OR, not IN. For a longer IN, SQLite builds a temporary table in each statement,
-- and three of them took about a third of the writer's time for a creation.

-- Binds the write-ahead log to the database file: both hold this row (src/store/sqlite/binding/mod.rs).
CREATE TABLE log_binding (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    -- Identifies the page of this row in the log.
    marker TEXT NOT NULL CHECK (marker = 'patd log binding'),
    database_id BLOB NOT NULL CHECK (length(database_id) = 16),
    generation INTEGER NOT NULL CHECK (generation > 0),
    -- Random. The first transaction of each log draws a new one.
    nonce BLOB NOT NULL CHECK (length(nonce) = 16),
    -- NULL in the first generation.
    previous_nonce BLOB CHECK (length(previous_nonce) = 16)
) STRICT;

INSERT INTO log_binding VALUES (1, 'patd log binding', randomblob(16), 1, randomblob(16), NULL);

-- Users and service accounts. A service account has no address, no password and no environment of its own, so it cannot
-- sign in.
CREATE TABLE users (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    email TEXT CHECK (length(CAST(email AS BLOB)) BETWEEN 3 AND 254),
    -- Without differences of case, width and normal form, so that two spellings of an address are one account.
    email_canonical TEXT UNIQUE CHECK (length(CAST(email_canonical AS BLOB)) BETWEEN 3 AND 254),
    -- argon2id as a PHC string, so that each row holds the parameters of its hash. NULL until an invited user sets a
    -- password.
    password_hash TEXT CHECK (password_hash LIKE '$argon2id$%' AND length(password_hash) <= 255),
    created_at INTEGER NOT NULL,
    disabled_at INTEGER,
    -- The environment that the user works in. Deferred, because a user and the first environment refer to each other.
    current_environment_id BLOB REFERENCES environments (id) DEFERRABLE INITIALLY DEFERRED
        CHECK (length(current_environment_id) = 16),
    kind TEXT NOT NULL DEFAULT 'user' CHECK (kind IN ('user', 'service_account')),
    role TEXT NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'admin')),
    -- What a service account is for.
    description TEXT CHECK (length(description) BETWEEN 1 AND 1000),
    CHECK ((kind = 'user') = (email IS NOT NULL)),
    CHECK ((email IS NULL) = (email_canonical IS NULL)),
    CHECK ((kind = 'user') = (current_environment_id IS NOT NULL)),
    CHECK (kind = 'user' OR (password_hash IS NULL AND role = 'member')),
    CHECK (kind = 'service_account' OR description IS NULL)
) STRICT, WITHOUT ROWID;

-- Counts the enabled administrators when one of them is to lose that role.
CREATE INDEX users_admins ON users (id) WHERE role = 'admin';
CREATE INDEX users_service_accounts ON users (id) WHERE kind = 'service_account';
CREATE INDEX users_by_name ON users (lower(name), id);

-- Without this index, the deletion of an environment would read every user.
CREATE INDEX users_by_current_environment ON users (current_environment_id);

CREATE TABLE environments (
    id BLOB PRIMARY KEY NOT NULL CHECK (length(id) = 16),
    owner_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    -- The environment that is created with the user's account.
    is_default INTEGER NOT NULL CHECK (is_default IN (0, 1)),
    created_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX environments_by_owner ON environments (owner_id, created_at);
CREATE UNIQUE INDEX environments_default ON environments (owner_id) WHERE is_default = 1;

-- The users with whom an environment is shared. Its owner is not a member.
CREATE TABLE environment_members (
    environment_id BLOB NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role TEXT NOT NULL CHECK (role IN ('admin', 'viewer')),
    created_at INTEGER NOT NULL,
    PRIMARY KEY (environment_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX environment_members_by_user ON environment_members (user_id);

-- The users who manage a service account and its tokens, besides the administrators.
CREATE TABLE service_account_managers (
    service_account_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    user_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (service_account_id, user_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX service_account_managers_by_user ON service_account_managers (user_id);

-- One-time links with which a user sets a password: an invitation, or a reset by an administrator. A new link of a user
-- replaces the earlier one.
CREATE TABLE password_links (
    user_id BLOB PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL CHECK (expires_at > created_at)
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
    -- The N of N|pat_…. AUTOINCREMENT ensures that no number is used twice.
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id BLOB NOT NULL UNIQUE CHECK (length(id) = 16),
    -- For an environment token, the owner of the environment. If the owner is disabled, the token is refused.
    owner_id BLOB NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash BLOB NOT NULL UNIQUE CHECK (length(hash) = 32),
    hint TEXT NOT NULL CHECK (length(hint) = 4),
    name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 255),
    -- Separated by spaces. '' is a token without abilities.
    abilities TEXT NOT NULL CHECK (length(abilities) <= 10099),
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    last_used_at INTEGER,
    revoked_at INTEGER,
    -- NULL for a personal access token.
    environment_id BLOB REFERENCES environments (id) ON DELETE CASCADE CHECK (length(environment_id) = 16),
    -- The id of the first token of the family. For a token that was never rotated, its own id.
    family_id BLOB NOT NULL CHECK (length(family_id) = 16),
    rotated_from BLOB CHECK (length(rotated_from) = 16),
    -- A rotated token is refused from this time on, or from the first use of its successor if ends_on_first_use is 1.
    grace_ends_at INTEGER,
    ends_on_first_use INTEGER NOT NULL DEFAULT 0 CHECK (ends_on_first_use IN (0, 1)),
    disabled_at INTEGER,
    revoked_reason TEXT CHECK (revoked_reason = 'revoked_by_owner' OR revoked_reason = 'rotated'
        OR revoked_reason = 'leaked' OR revoked_reason = 'owner_disabled' OR revoked_reason = 'reuse_detected'
        OR revoked_reason = 'expired'),
    -- Networks (CIDR), separated by spaces. NULL allows every address.
    ip_allowlist TEXT CHECK (length(ip_allowlist) BETWEEN 1 AND 4399),
    requests_per_minute INTEGER CHECK (requests_per_minute > 0),
    quota INTEGER CHECK (quota > 0),
    quota_used INTEGER NOT NULL DEFAULT 0 CHECK (quota_used >= 0),
    -- The id of the first token of the lineage. NULL means the token's own id. A successor that a token made by itself
    -- belongs to the lineage of that token. A successor that the owner made with a session begins a new lineage.
    lineage_id BLOB CHECK (length(lineage_id) = 16),
    description TEXT CHECK (length(description) BETWEEN 1 AND 1000),
    -- A JSON object of strings.
    metadata TEXT CHECK (length(metadata) BETWEEN 2 AND 60000),
    -- A canary token is refused everywhere, and its use is recorded.
    canary INTEGER NOT NULL DEFAULT 0 CHECK (canary IN (0, 1)),
    -- The user who created it. NULL for the command line.
    created_by BLOB CHECK (length(created_by) = 16),
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL)),
    CHECK (ends_on_first_use = 0 OR grace_ends_at IS NOT NULL)
) STRICT;

CREATE INDEX tokens_by_owner ON tokens (owner_id, number);
-- Counts an owner's live personal access tokens at each creation without reading the table. SQLite reads the columns of
-- the condition, so the index must hold them although they are always NULL.
CREATE INDEX tokens_live_by_owner ON tokens (owner_id, expires_at, revoked_at, environment_id)
    WHERE revoked_at IS NULL AND environment_id IS NULL;
-- The next four indexes hold no entry for a personal access token that was never rotated, so they cost its creation
-- nothing. The first token of a family is found by its id.
CREATE INDEX tokens_by_environment ON tokens (environment_id, number) WHERE environment_id IS NOT NULL;
-- Like tokens_live_by_owner, for an environment.
CREATE INDEX tokens_live_by_environment ON tokens (environment_id, expires_at, revoked_at)
    WHERE revoked_at IS NULL AND environment_id IS NOT NULL;
CREATE INDEX tokens_by_family ON tokens (family_id, rotated_from) WHERE rotated_from IS NOT NULL;
-- A token has at most one successor that is not revoked. family_id comes first, so that the live tokens of a family are
-- found without reading its ended ones.
CREATE UNIQUE INDEX tokens_live_successor ON tokens (family_id, rotated_from)
    WHERE rotated_from IS NOT NULL AND revoked_at IS NULL;

-- Lists of everybody's tokens by expiry and by last use.
CREATE INDEX tokens_by_expiry ON tokens (expires_at, number) WHERE expires_at IS NOT NULL;
CREATE INDEX tokens_by_last_use ON tokens (last_used_at, number) WHERE last_used_at IS NOT NULL;

-- How often a token was allowed and refused, by day, policy and needed ability.
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

-- The latest addresses from which a token was used.
CREATE TABLE token_addresses (
    token_id BLOB NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    address TEXT NOT NULL CHECK (length(address) BETWEEN 2 AND 45),
    user_agent TEXT CHECK (length(user_agent) <= 255),
    last_used_at INTEGER NOT NULL,
    PRIMARY KEY (token_id, address)
) STRICT, WITHOUT ROWID;

-- All changes and refused sign-ins. No REFERENCES, because an event outlives its subject.
CREATE TABLE audit_events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    -- The user in whose audit trail the event is. NULL for none.
    user_id BLOB CHECK (length(user_id) = 16),
    actor_kind TEXT NOT NULL CHECK (actor_kind = 'session' OR actor_kind = 'personal_access_token'
        OR actor_kind = 'environment_token' OR actor_kind = 'command_line' OR actor_kind = 'anonymous'
        OR actor_kind = 'system'),
    actor_id BLOB CHECK (length(actor_id) = 16),
    action TEXT NOT NULL CHECK (length(action) BETWEEN 1 AND 64),
    target_kind TEXT NOT NULL CHECK (target_kind = 'user' OR target_kind = 'session'
        OR target_kind = 'personal_access_token' OR target_kind = 'environment_token' OR target_kind = 'environment'
        OR target_kind = 'service_account' OR target_kind = 'database'),
    target_id BLOB CHECK (length(target_id) = 16),
    address TEXT CHECK (length(address) BETWEEN 2 AND 45),
    request_id TEXT CHECK (length(request_id) BETWEEN 1 AND 128),
    outcome TEXT NOT NULL CHECK (outcome IN ('success', 'refused')),
    -- Long enough for an old and a new e-mail address.
    detail TEXT CHECK (length(detail) BETWEEN 1 AND 512),
    -- The user whose session or token acted.
    actor_user_id BLOB CHECK (length(actor_user_id) = 16),
    -- Salted digests of an address and a detail that were erased, so that the seal of the event still holds.
    erased_address BLOB CHECK (length(erased_address) = 32),
    erased_detail BLOB CHECK (length(erased_detail) = 32),
    CHECK (erased_address IS NULL OR address IS NULL),
    CHECK (erased_detail IS NULL OR detail IS NULL)
) STRICT;

CREATE INDEX audit_events_by_user ON audit_events (user_id, seq);

-- What users did in the trails of others. An event in a user's own trail needs no entry, so it costs creation nothing.
CREATE INDEX audit_events_by_other_actor ON audit_events (actor_user_id, seq)
    WHERE actor_user_id IS NOT NULL AND user_id IS NOT actor_user_id;

-- The salts of the digests that seals use for addresses and details: one for each user, and one with an id of ones for events
-- of no user. Deleting a user deletes the salt, so that nobody can find an erased address by trying all of them.
CREATE TABLE audit_salts (
    user_id BLOB PRIMARY KEY NOT NULL CHECK (length(user_id) = 16),
    salt BLOB NOT NULL CHECK (length(salt) = 32)
) STRICT, WITHOUT ROWID;

INSERT INTO audit_salts (user_id, salt) VALUES (x'ffffffffffffffffffffffffffffffff', randomblob(32));

-- A seal closes a range of events with a digest over them and over the seal before. The range begins after that of the
-- seal before. If old events are pruned, a seal of the kind 'pruning' records that.
CREATE TABLE audit_seals (
    number INTEGER PRIMARY KEY CHECK (number > 0),
    kind TEXT NOT NULL CHECK (kind IN ('events', 'pruning')),
    first_seq INTEGER NOT NULL,
    last_seq INTEGER NOT NULL CHECK (last_seq >= first_seq),
    events INTEGER NOT NULL CHECK (events > 0),
    -- The latest time of these events.
    latest_at INTEGER NOT NULL,
    sealed_at INTEGER NOT NULL,
    -- The digest of the events, or of the seals whose events were pruned. It stays when the events are pruned.
    content BLOB NOT NULL CHECK (length(content) = 32),
    -- The digest of all of the above and of the digest of the seal before.
    digest BLOB NOT NULL CHECK (length(digest) = 32),
    -- The seal that records the pruning of these events.
    pruned_by INTEGER REFERENCES audit_seals (number) CHECK (kind = 'events' OR pruned_by IS NULL)
) STRICT;

CREATE INDEX audit_seals_to_prune ON audit_seals (latest_at, number) WHERE kind = 'events' AND pruned_by IS NULL;
CREATE INDEX audit_seals_by_pruning ON audit_seals (pruned_by, number) WHERE pruned_by IS NOT NULL;

CREATE TRIGGER audit_seals_are_not_deleted BEFORE DELETE ON audit_seals
BEGIN
    SELECT RAISE(ABORT, 'a seal is never deleted');
END;

-- The user whose personal data is being erased. The row exists only inside the transaction that erases. An erasure replaces
-- the address or the detail of an event with its digest, and changes nothing else.
CREATE TABLE audit_erasure (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    user_id BLOB NOT NULL CHECK (length(user_id) = 16)
) STRICT;

CREATE TRIGGER audit_events_are_not_changed BEFORE UPDATE ON audit_events
WHEN NOT EXISTS (SELECT 1 FROM audit_erasure WHERE user_id = old.user_id OR user_id = old.actor_user_id)
    OR new.seq IS NOT old.seq OR new.at IS NOT old.at OR new.user_id IS NOT old.user_id
    OR new.actor_kind IS NOT old.actor_kind OR new.actor_id IS NOT old.actor_id OR new.action IS NOT old.action
    OR new.target_kind IS NOT old.target_kind OR new.target_id IS NOT old.target_id
    OR new.request_id IS NOT old.request_id OR new.outcome IS NOT old.outcome
    OR new.actor_user_id IS NOT old.actor_user_id
    -- Each either keeps its value and its digest, or loses its value and gets a digest.
    OR (new.address IS NOT old.address OR new.erased_address IS NOT old.erased_address)
        AND (old.address IS NULL OR new.address IS NOT NULL OR new.erased_address IS NULL)
    OR (new.detail IS NOT old.detail OR new.erased_detail IS NOT old.erased_detail)
        AND (old.detail IS NULL OR new.detail IS NOT NULL OR new.erased_detail IS NULL)
BEGIN
    SELECT RAISE(ABORT, 'an audit event is never changed');
END;

-- The time before which events may be deleted. The row exists only inside a transaction that prunes.
CREATE TABLE audit_pruning (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    before INTEGER NOT NULL
) STRICT;

CREATE TRIGGER audit_events_are_not_deleted BEFORE DELETE ON audit_events
WHEN NOT EXISTS (SELECT 1 FROM audit_pruning WHERE before > old.at)
BEGIN
    SELECT RAISE(ABORT, 'an audit event is never deleted');
END;

-- Pruning marks the seals whose events it deletes.
CREATE TRIGGER audit_seals_are_not_changed BEFORE UPDATE ON audit_seals
WHEN NOT EXISTS (SELECT 1 FROM audit_pruning WHERE before > old.latest_at) OR old.pruned_by IS NOT NULL
    OR new.number IS NOT old.number OR new.kind IS NOT old.kind OR new.first_seq IS NOT old.first_seq
    OR new.last_seq IS NOT old.last_seq OR new.events IS NOT old.events OR new.latest_at IS NOT old.latest_at
    OR new.sealed_at IS NOT old.sealed_at OR new.content IS NOT old.content OR new.digest IS NOT old.digest
BEGIN
    SELECT RAISE(ABORT, 'a seal is never changed');
END;

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

-- The attempt counters that are not at rest, so that they survive a restart. `subject` is a keyed hash of an account or a
-- user, and `origin` of a network or a session. Both are all zero if there is none.
CREATE TABLE attempts (
    scope TEXT NOT NULL CHECK (length(scope) BETWEEN 1 AND 32),
    subject BLOB NOT NULL CHECK (length(subject) = 16),
    origin BLOB NOT NULL CHECK (length(origin) = 16),
    rests_at_micros INTEGER NOT NULL,
    PRIMARY KEY (scope, subject, origin)
) STRICT, WITHOUT ROWID;

-- The key of these hashes, and of other values that must survive a restart and must not be predictable.
CREATE TABLE attempts_key (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    key BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;

INSERT INTO attempts_key (only_row, key) VALUES (1, randomblob(32));

-- Rows that a readiness probe overwrites to show whether a write works. `filler` puts each row on a separate page.
CREATE TABLE write_probes (
    number INTEGER PRIMARY KEY,
    turn INTEGER NOT NULL,
    filler BLOB NOT NULL
) STRICT;

-- The latest time that a server recorded. With it, the next start detects a wrong system clock.
CREATE TABLE clock (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    latest_time INTEGER NOT NULL,
    -- The number of the last audit event when this was recorded. Events after it may have later times.
    last_event INTEGER NOT NULL
) STRICT;

-- How far the scrub is that deletions of users require (src/store/sqlite/scrub/mod.rs). The row exists until it is done.
CREATE TABLE owed_scrub (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    next_page INTEGER NOT NULL CHECK (next_page > 0),
    pages_left INTEGER NOT NULL CHECK (pages_left >= 0)
) STRICT;

-- The row exists while rows of another database are copied into this one (src/store/sql/copy/mod.rs). Nothing opens such a
-- database but the copy. `source` tells which database it is.
CREATE TABLE database_copy (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    source BLOB NOT NULL CHECK (length(source) = 32)
) STRICT;
