-- Upgrades version 6 to 7.

-- The lineage of a token, and an index that finds its successors.

ALTER TABLE tokens ADD COLUMN lineage_id BLOB CHECK (length(lineage_id) = 16);

DROP INDEX tokens_by_family;
CREATE INDEX tokens_by_family ON tokens (family_id, rotated_from) WHERE rotated_from IS NOT NULL;

-- The token.created event of a successor shows who made it. If that event or the predecessor was pruned, the successor
-- counts as made by the predecessor itself. Then a leak report may revoke too much, but never too little.
WITH RECURSIVE
    made_by_owner (id) AS MATERIALIZED (
        SELECT target_id FROM audit_events
        WHERE action = 'token.created' AND detail = 'rotation' AND actor_kind <> 'personal_access_token'
    ),
    lineage (id, family_id, lineage_id) AS (
        SELECT id, family_id, id FROM tokens
        WHERE rotated_from IS NULL AND environment_id IS NULL
            AND id IN (SELECT family_id FROM tokens WHERE rotated_from IS NOT NULL)
        UNION ALL
        SELECT t.id, t.family_id, iif(t.id IN made_by_owner, t.id, t.family_id) FROM tokens t
        WHERE t.rotated_from IS NOT NULL AND t.environment_id IS NULL
            AND (t.id IN made_by_owner OR NOT EXISTS (SELECT 1 FROM tokens p WHERE p.id = t.rotated_from))
        UNION ALL
        SELECT t.id, t.family_id, l.lineage_id
        FROM lineage l JOIN tokens t ON t.family_id = l.family_id AND t.rotated_from = l.id
        WHERE t.rotated_from IS NOT NULL AND t.id NOT IN made_by_owner
    )
UPDATE tokens SET lineage_id = lineage.lineage_id
FROM lineage WHERE tokens.id = lineage.id AND tokens.id <> lineage.lineage_id;

-- The row that binds the write-ahead log to the database file.
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

-- A longer limit, so that an event can hold an old and a new e-mail address. The new limit accepts every stored row, so
-- only the definition is edited and no row is written.
PRAGMA writable_schema = ON;
UPDATE sqlite_schema SET sql = replace(sql,
    'detail TEXT CHECK (length(detail) BETWEEN 1 AND 255)',
    'detail TEXT CHECK (length(detail) BETWEEN 1 AND 512)')
WHERE type = 'table' AND name = 'audit_events';
PRAGMA writable_schema = RESET;

-- The attempt counters, so that they survive a restart.
CREATE TABLE attempts (
    scope TEXT NOT NULL CHECK (length(scope) BETWEEN 1 AND 32),
    subject BLOB NOT NULL CHECK (length(subject) = 16),
    origin BLOB NOT NULL CHECK (length(origin) = 16),
    rests_at INTEGER NOT NULL,
    PRIMARY KEY (scope, subject, origin)
) STRICT, WITHOUT ROWID;

CREATE TABLE attempts_key (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    key BLOB NOT NULL CHECK (length(key) = 32)
) STRICT;

INSERT INTO attempts_key (only_row, key) VALUES (1, randomblob(32));

-- Rows that a readiness probe writes, so that it shows whether a write works.
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
