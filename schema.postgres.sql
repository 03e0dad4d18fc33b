-- The whole current schema of a patd database in PostgreSQL 15 or newer (version 9). The tables and columns are those of
-- schema.sql, which says what they are for. Here is only what differs. The encoding of the database must be UTF8, and the server
-- must have been built with ICU.
--
-- Identifiers are uuid, hashes bytea, flags boolean. Times are Unix seconds in bigint, not timestamptz: the rules compare
-- seconds, the time always comes from the caller and never from the database, and a row is the same in both stores. To read
-- one: to_timestamp(created_at).
--
-- Text is compared byte by byte (COLLATE "C"), so the order of a list does not depend on the language data of the system.
--
-- A transaction that changes any of the tables up to `clock` begins with SELECT pg_advisory_xact_lock(8097881579838400884), so
-- these transactions run one after another, over all nodes. Its isolation level is READ COMMITTED: each statement after the
-- lock sees everything that the transactions before it have committed. The larger levels would see the state of before the wait.

CREATE TABLE schema_version (
    only_row integer PRIMARY KEY CHECK (only_row = 1),
    version integer NOT NULL CHECK (version > 0)
);

INSERT INTO schema_version VALUES (1, 9);

CREATE TABLE users (
    id uuid PRIMARY KEY,
    name text COLLATE "C" NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    email text COLLATE "C" CHECK (octet_length(email) BETWEEN 3 AND 254),
    email_canonical text COLLATE "C" UNIQUE CHECK (octet_length(email_canonical) BETWEEN 3 AND 254),
    password_hash text COLLATE "C" CHECK (password_hash LIKE '$argon2id$%' AND char_length(password_hash) <= 255),
    created_at bigint NOT NULL,
    disabled_at bigint,
    -- The reference to environments is added below.
    current_environment_id uuid,
    kind text COLLATE "C" NOT NULL DEFAULT 'user' CHECK (kind IN ('user', 'service_account')),
    role text COLLATE "C" NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'admin')),
    description text COLLATE "C" CHECK (char_length(description) BETWEEN 1 AND 1000),
    CHECK ((kind = 'user') = (email IS NOT NULL)),
    CHECK ((email IS NULL) = (email_canonical IS NULL)),
    CHECK ((kind = 'user') = (current_environment_id IS NOT NULL)),
    CHECK (kind = 'user' OR (password_hash IS NULL AND role = 'member')),
    CHECK (kind = 'service_account' OR description IS NULL)
);

CREATE INDEX users_admins ON users (id) WHERE role = 'admin';
CREATE INDEX users_service_accounts ON users (id) WHERE kind = 'service_account';
-- As in SQLite, lower() changes only the letters A to Z, because the column has the collation "C".
CREATE INDEX users_by_name ON users (lower(name), id);
CREATE INDEX users_by_current_environment ON users (current_environment_id);

CREATE TABLE environments (
    id uuid PRIMARY KEY,
    owner_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    name text COLLATE "C" NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    is_default boolean NOT NULL,
    created_at bigint NOT NULL
);

CREATE INDEX environments_by_owner ON environments (owner_id, created_at);
CREATE UNIQUE INDEX environments_default ON environments (owner_id) WHERE is_default;

ALTER TABLE users ADD CONSTRAINT users_current_environment FOREIGN KEY (current_environment_id) REFERENCES environments (id)
    DEFERRABLE INITIALLY DEFERRED;

CREATE TABLE environment_members (
    environment_id uuid NOT NULL REFERENCES environments (id) ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role text COLLATE "C" NOT NULL CHECK (role IN ('admin', 'viewer')),
    created_at bigint NOT NULL,
    PRIMARY KEY (environment_id, user_id)
);

CREATE INDEX environment_members_by_user ON environment_members (user_id);

CREATE TABLE service_account_managers (
    service_account_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    created_at bigint NOT NULL,
    PRIMARY KEY (service_account_id, user_id)
);

CREATE INDEX service_account_managers_by_user ON service_account_managers (user_id);

CREATE TABLE password_links (
    user_id uuid PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    created_at bigint NOT NULL,
    expires_at bigint NOT NULL CHECK (expires_at > created_at)
);

CREATE TABLE sessions (
    id uuid PRIMARY KEY,
    user_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    device_name text COLLATE "C" CHECK (char_length(device_name) BETWEEN 1 AND 255),
    created_at bigint NOT NULL,
    last_used_at bigint NOT NULL,
    expires_at bigint NOT NULL CHECK (expires_at > created_at)
);

CREATE INDEX sessions_by_user ON sessions (user_id, created_at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);

CREATE TABLE tokens (
    -- CACHE 1, so that a successor has a larger number than its predecessor, whichever node makes it.
    number bigint GENERATED BY DEFAULT AS IDENTITY (CACHE 1) PRIMARY KEY,
    id uuid NOT NULL UNIQUE,
    owner_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash bytea NOT NULL UNIQUE CHECK (octet_length(hash) = 32),
    hint text COLLATE "C" NOT NULL CHECK (char_length(hint) = 4),
    name text COLLATE "C" NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    abilities text COLLATE "C" NOT NULL CHECK (char_length(abilities) <= 10099),
    created_at bigint NOT NULL,
    expires_at bigint,
    last_used_at bigint,
    revoked_at bigint,
    environment_id uuid REFERENCES environments (id) ON DELETE CASCADE,
    family_id uuid NOT NULL,
    rotated_from uuid,
    grace_ends_at bigint,
    ends_on_first_use boolean NOT NULL DEFAULT false,
    disabled_at bigint,
    revoked_reason text COLLATE "C" CHECK (revoked_reason IN ('revoked_by_owner', 'rotated', 'leaked', 'owner_disabled',
        'reuse_detected', 'expired')),
    ip_allowlist text COLLATE "C" CHECK (char_length(ip_allowlist) BETWEEN 1 AND 4399),
    requests_per_minute bigint CHECK (requests_per_minute > 0),
    quota bigint CHECK (quota > 0),
    quota_used bigint NOT NULL DEFAULT 0 CHECK (quota_used >= 0),
    lineage_id uuid,
    description text COLLATE "C" CHECK (char_length(description) BETWEEN 1 AND 1000),
    metadata text COLLATE "C" CHECK (char_length(metadata) BETWEEN 2 AND 60000),
    canary boolean NOT NULL DEFAULT false,
    created_by uuid,
    CHECK ((revoked_at IS NULL) = (revoked_reason IS NULL)),
    CHECK (NOT ends_on_first_use OR grace_ends_at IS NOT NULL)
);

CREATE INDEX tokens_by_owner ON tokens (owner_id, number);
CREATE INDEX tokens_live_by_owner ON tokens (owner_id, expires_at) WHERE revoked_at IS NULL AND environment_id IS NULL;
CREATE INDEX tokens_by_environment ON tokens (environment_id, number) WHERE environment_id IS NOT NULL;
CREATE INDEX tokens_live_by_environment ON tokens (environment_id, expires_at)
    WHERE revoked_at IS NULL AND environment_id IS NOT NULL;
CREATE INDEX tokens_by_family ON tokens (family_id, rotated_from) WHERE rotated_from IS NOT NULL;
CREATE UNIQUE INDEX tokens_live_successor ON tokens (family_id, rotated_from)
    WHERE rotated_from IS NOT NULL AND revoked_at IS NULL;
CREATE INDEX tokens_by_expiry ON tokens (expires_at, number) WHERE expires_at IS NOT NULL;
CREATE INDEX tokens_by_last_use ON tokens (last_used_at, number) WHERE last_used_at IS NOT NULL;

CREATE TABLE token_usage (
    token_number bigint NOT NULL REFERENCES tokens (number) ON DELETE CASCADE,
    day bigint NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('policy', 'ability')),
    name text COLLATE "C" NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    allowed bigint NOT NULL DEFAULT 0 CHECK (allowed >= 0),
    refused bigint NOT NULL DEFAULT 0 CHECK (refused >= 0),
    PRIMARY KEY (token_number, day, kind, name)
);

CREATE INDEX token_usage_by_day ON token_usage (day);

CREATE TABLE token_usage_counting (
    only_row integer PRIMARY KEY CHECK (only_row = 1),
    since bigint NOT NULL
);

CREATE TABLE token_usage_batches (
    process_id uuid NOT NULL,
    part bigint NOT NULL,
    batch bigint NOT NULL,
    last_day bigint NOT NULL,
    PRIMARY KEY (process_id, part)
);

CREATE TABLE token_addresses (
    token_id uuid NOT NULL REFERENCES tokens (id) ON DELETE CASCADE,
    address text COLLATE "C" NOT NULL CHECK (char_length(address) BETWEEN 2 AND 45),
    user_agent text COLLATE "C" CHECK (char_length(user_agent) <= 255),
    last_used_at bigint NOT NULL,
    PRIMARY KEY (token_id, address)
);

CREATE TABLE audit_events (
    -- In the order of the commits, because a transaction that records events holds the lock of the writer (see above) until
    -- it has ended.
    seq bigint GENERATED BY DEFAULT AS IDENTITY (CACHE 1) PRIMARY KEY,
    at bigint NOT NULL,
    user_id uuid,
    actor_kind text COLLATE "C" NOT NULL CHECK (actor_kind IN ('session', 'personal_access_token', 'environment_token',
        'command_line', 'anonymous', 'system')),
    actor_id uuid,
    action text COLLATE "C" NOT NULL CHECK (char_length(action) BETWEEN 1 AND 64),
    target_kind text COLLATE "C" NOT NULL CHECK (target_kind IN ('user', 'session', 'personal_access_token',
        'environment_token', 'environment', 'service_account', 'database')),
    target_id uuid,
    address text COLLATE "C" CHECK (char_length(address) BETWEEN 2 AND 45),
    request_id text COLLATE "C" CHECK (char_length(request_id) BETWEEN 1 AND 128),
    outcome text COLLATE "C" NOT NULL CHECK (outcome IN ('success', 'refused')),
    detail text COLLATE "C" CHECK (char_length(detail) BETWEEN 1 AND 512),
    actor_user_id uuid,
    erased_address bytea CHECK (octet_length(erased_address) = 32),
    erased_detail bytea CHECK (octet_length(erased_detail) = 32),
    CHECK (erased_address IS NULL OR address IS NULL),
    CHECK (erased_detail IS NULL OR detail IS NULL)
);

CREATE INDEX audit_events_by_user ON audit_events (user_id, seq);
CREATE INDEX audit_events_by_other_actor ON audit_events (actor_user_id, seq)
    WHERE actor_user_id IS NOT NULL AND user_id IS DISTINCT FROM actor_user_id;

CREATE TABLE audit_salts (
    user_id uuid PRIMARY KEY,
    salt bytea NOT NULL CHECK (octet_length(salt) = 32)
);

-- PostgreSQL has no function for random bytes, but each of these identifiers has 122 random bits.
CREATE FUNCTION random_key() RETURNS bytea LANGUAGE sql VOLATILE
    RETURN sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()));

INSERT INTO audit_salts (user_id, salt) VALUES ('ffffffff-ffff-ffff-ffff-ffffffffffff', random_key());

CREATE TABLE audit_seals (
    number bigint PRIMARY KEY CHECK (number > 0),
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('events', 'pruning')),
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL CHECK (last_seq >= first_seq),
    events bigint NOT NULL CHECK (events > 0),
    latest_at bigint NOT NULL,
    sealed_at bigint NOT NULL,
    content bytea NOT NULL CHECK (octet_length(content) = 32),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    pruned_by bigint REFERENCES audit_seals (number) CHECK (kind = 'events' OR pruned_by IS NULL)
);

CREATE INDEX audit_seals_to_prune ON audit_seals (latest_at, number) WHERE kind = 'events' AND pruned_by IS NULL;
CREATE INDEX audit_seals_by_pruning ON audit_seals (pruned_by, number) WHERE pruned_by IS NOT NULL;

-- The rows of the next two exist only inside one transaction. Another transaction never sees them. If it wants to insert
-- its own, it waits until this one has ended.
CREATE TABLE audit_erasure (
    only_row integer PRIMARY KEY CHECK (only_row = 1),
    user_id uuid NOT NULL
);

CREATE TABLE audit_pruning (
    only_row integer PRIMARY KEY CHECK (only_row = 1),
    before bigint NOT NULL
);

CREATE FUNCTION protect_audit_event() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    expected audit_events;
BEGIN
    IF TG_OP <> 'UPDATE' THEN
        IF TG_OP = 'DELETE' AND EXISTS (SELECT FROM audit_pruning WHERE before > OLD.at) THEN
            RETURN OLD;
        END IF;
        RAISE EXCEPTION 'an audit event is never deleted';
    END IF;
    expected := OLD;
    -- Each either keeps its value and its digest, or loses its value and gets a digest.
    IF OLD.address IS NOT NULL AND NEW.address IS NULL AND NEW.erased_address IS NOT NULL THEN
        expected.address := NULL;
        expected.erased_address := NEW.erased_address;
    END IF;
    IF OLD.detail IS NOT NULL AND NEW.detail IS NULL AND NEW.erased_detail IS NOT NULL THEN
        expected.detail := NULL;
        expected.erased_detail := NEW.erased_detail;
    END IF;
    IF NEW IS DISTINCT FROM expected
        OR NOT EXISTS (SELECT FROM audit_erasure WHERE user_id = OLD.user_id OR user_id = OLD.actor_user_id) THEN
        RAISE EXCEPTION 'an audit event is never changed';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER audit_events_are_not_changed BEFORE UPDATE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION protect_audit_event();
CREATE TRIGGER audit_events_are_not_deleted BEFORE DELETE ON audit_events
    FOR EACH ROW EXECUTE FUNCTION protect_audit_event();
CREATE TRIGGER audit_events_are_not_truncated BEFORE TRUNCATE ON audit_events
    FOR EACH STATEMENT EXECUTE FUNCTION protect_audit_event();

CREATE FUNCTION protect_audit_seal() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    expected audit_seals;
BEGIN
    IF TG_OP <> 'UPDATE' THEN
        RAISE EXCEPTION 'a seal is never deleted';
    END IF;
    -- Pruning marks the seals whose events it deletes.
    expected := OLD;
    IF OLD.pruned_by IS NULL AND EXISTS (SELECT FROM audit_pruning WHERE before > OLD.latest_at) THEN
        expected.pruned_by := NEW.pruned_by;
    END IF;
    IF NEW IS DISTINCT FROM expected THEN
        RAISE EXCEPTION 'a seal is never changed';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER audit_seals_are_not_changed BEFORE UPDATE ON audit_seals
    FOR EACH ROW EXECUTE FUNCTION protect_audit_seal();
CREATE TRIGGER audit_seals_are_not_deleted BEFORE DELETE ON audit_seals
    FOR EACH ROW EXECUTE FUNCTION protect_audit_seal();
CREATE TRIGGER audit_seals_are_not_truncated BEFORE TRUNCATE ON audit_seals
    FOR EACH STATEMENT EXECUTE FUNCTION protect_audit_seal();

CREATE TABLE keyed_requests (
    account_id uuid NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key bytea NOT NULL CHECK (octet_length(key) = 32),
    request bytea NOT NULL CHECK (octet_length(request) = 32),
    made_id uuid NOT NULL,
    made_at bigint NOT NULL,
    PRIMARY KEY (account_id, key)
);

CREATE INDEX keyed_requests_by_time ON keyed_requests (made_at);

CREATE TABLE attempts (
    scope text COLLATE "C" NOT NULL CHECK (char_length(scope) BETWEEN 1 AND 32),
    subject bytea NOT NULL CHECK (octet_length(subject) = 16),
    origin bytea NOT NULL CHECK (octet_length(origin) = 16),
    rests_at_micros bigint NOT NULL,
    PRIMARY KEY (scope, subject, origin)
);

CREATE TABLE attempts_key (
    only_row integer PRIMARY KEY CHECK (only_row = 1),
    key bytea NOT NULL CHECK (octet_length(key) = 32)
);

INSERT INTO attempts_key (only_row, key) VALUES (1, random_key());

CREATE TABLE clock (
    only_row integer PRIMARY KEY CHECK (only_row = 1),
    latest_time bigint NOT NULL,
    last_event bigint NOT NULL
);

CREATE TABLE database_copy (
    only_row integer PRIMARY KEY CHECK (only_row = 1),
    source bytea NOT NULL CHECK (octet_length(source) = 32)
);

-- The rest is for several nodes (src/store/cluster/mod.rs).

-- The latest change that takes a right away. Its row is locked last in a transaction and until the commit, so the numbers are
-- in the order of the commits.
CREATE TABLE change_counter (
    only_row integer PRIMARY KEY CHECK (only_row = 1),
    sequence bigint NOT NULL CHECK (sequence >= 0),
    -- Random. It tells apart two changes with one number, in two histories after a failover.
    mark uuid NOT NULL
);

INSERT INTO change_counter VALUES (1, 0, gen_random_uuid());

-- What nodes must forget. A transaction with several of these gives each its own number.
CREATE TABLE changes (
    sequence bigint PRIMARY KEY CHECK (sequence > 0),
    mark uuid NOT NULL,
    kind text COLLATE "C" NOT NULL CHECK (kind IN ('added', 'token', 'session', 'user', 'sessions', 'anything')),
    subject bytea CHECK (octet_length(subject) IN (16, 32)),
    -- For the deletion of old changes only.
    at bigint NOT NULL,
    CHECK ((subject IS NULL) = (kind IN ('sessions', 'anything')))
);

-- One row for each registration of a node.
CREATE TABLE nodes (
    id uuid PRIMARY KEY,
    state text COLLATE "C" NOT NULL DEFAULT 'active' CHECK (state IN ('active', 'fencing', 'gone')),
    acknowledged bigint NOT NULL DEFAULT 0 CHECK (acknowledged >= 0),
    -- Random, another one after each renewal.
    renewal uuid NOT NULL DEFAULT gen_random_uuid(),
    name text COLLATE "C" NOT NULL CHECK (char_length(name) BETWEEN 1 AND 255),
    version text COLLATE "C" NOT NULL CHECK (char_length(version) BETWEEN 1 AND 64),
    started_at bigint NOT NULL
) WITH (fillfactor = 50);

-- A revocation that has read a state relies on it that no earlier state comes back. A row that is missing counts as one without
-- a lease.
CREATE FUNCTION protect_node() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'DELETE' THEN
        IF OLD.state <> 'gone' THEN
            RAISE EXCEPTION 'a node is deleted only when it is gone';
        END IF;
        RETURN OLD;
    END IF;
    IF array_position(ARRAY['active', 'fencing', 'gone'], NEW.state::text)
        < array_position(ARRAY['active', 'fencing', 'gone'], OLD.state::text) THEN
        RAISE EXCEPTION 'a node that was fenced stays fenced';
    END IF;
    RETURN NEW;
END
$$;

CREATE TRIGGER nodes_stay_fenced BEFORE UPDATE OF state ON nodes FOR EACH ROW EXECUTE FUNCTION protect_node();
CREATE TRIGGER nodes_with_a_lease_are_not_deleted BEFORE DELETE ON nodes FOR EACH ROW EXECUTE FUNCTION protect_node();

-- Which node deletes what is old and seals the audit trail. Another one takes over when it is not active any more.
CREATE TABLE housekeeping (
    only_row integer PRIMARY KEY CHECK (only_row = 1),
    -- The registration of the node. At first, an identifier that no node has.
    node_id uuid NOT NULL
);

INSERT INTO housekeeping VALUES (1, gen_random_uuid());

-- What all nodes have taken of the rate limits of tokens. On the clock of the database, in microseconds, because a thousandth of
-- a minute is less than a second. Rows at rest are deleted.
CREATE TABLE rate_permits (
    -- A token and its successors share a limit.
    family_id uuid PRIMARY KEY,
    -- When all of the limit is available again.
    rests_at bigint NOT NULL
) WITH (fillfactor = 50);

-- The time in microseconds. Unlike now(), it goes on during a transaction, which may have waited for others.
CREATE FUNCTION database_time() RETURNS bigint LANGUAGE sql VOLATILE
    RETURN CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS bigint);

-- The functions that connections to SQLite have (src/store/sqlite/connect.rs), so that a statement can be the same in both.

-- The form in which texts are searched. Unlike ICU, the program has no special small sigma for the end of a word.
CREATE FUNCTION folded(value text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN normalize(replace(lower(upper(normalize(value, NFKC) COLLATE "und-x-icu") COLLATE "und-x-icu"), 'ς', 'σ'), NFKC);

CREATE FUNCTION is_reserved_ability(ability text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN ability IN ('tokens:introspect', 'admin') OR starts_with(ability, 'admin:');

-- Whether the abilities of a token, separated by spaces, cover one.
CREATE FUNCTION covers(abilities text, needed text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN EXISTS (
        SELECT FROM string_to_table(abilities, ' ') ability
        WHERE ability = needed
           OR right(ability, 1) = '*' AND starts_with(needed, left(ability, -1))
              AND char_length(needed) >= char_length(ability)
              AND (NOT is_reserved_ability(needed) OR is_reserved_ability(left(ability, -1)))
    );

-- Whether the metadata of a token include some keys and values. Both are JSON objects of strings.
CREATE FUNCTION has_metadata(metadata text, wanted text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN coalesce(metadata::jsonb @> wanted::jsonb, false);

CREATE FUNCTION instr(value text, part text) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN strpos(value, part);

-- The statements use it for identifiers alone.
CREATE FUNCTION unhex(value text) RETURNS uuid LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN value::uuid;

-- The elements of a JSON array of strings.
CREATE FUNCTION json_each(list text) RETURNS TABLE (value text) LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT jsonb_array_elements_text(list::jsonb) $$;
