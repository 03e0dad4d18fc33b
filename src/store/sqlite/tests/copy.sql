-- Rows in every table that a copy copies, in some more than it writes at once.
BEGIN;

INSERT INTO users (id, name, email, email_canonical, password_hash, created_at, disabled_at, current_environment_id, role)
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 450)
SELECT unhex(printf('019000000000700080%014x', n)), 'Ädä ' || n, 'u' || n || '@example.com', 'u' || n || '@example.com',
       iif(n % 5 = 0, NULL, '$argon2id$' || n), n, iif(n % 9 = 0, n, NULL),
       -- Not the user's own, so that users refer to environments of users behind them.
       unhex(printf('019100000000700080%014x', n * 7 % 450 + 1)), iif(n % 50 = 0, 'admin', 'member')
FROM n;

INSERT INTO users (id, name, created_at, kind, description)
VALUES (unhex('01900000000070008000000000001001'), 'builds', 5, 'service_account', 'Builds "all" of it'),
       (unhex('01900000000070008000000000001002'), 'deploys', 5, 'service_account', NULL);

INSERT INTO environments (id, owner_id, name, is_default, created_at)
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 450)
SELECT unhex(printf('019100000000700080%014x', n)), unhex(printf('019000000000700080%014x', n)), 'Default', 1, n FROM n;

INSERT INTO environments (id, owner_id, name, is_default, created_at)
VALUES (unhex('01910000000070008000000000001001'), unhex('01900000000070008000000000001001'), 'of the builds', 0, 9);

INSERT INTO environment_members (environment_id, user_id, role, created_at)
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 350)
SELECT unhex(printf('019100000000700080%014x', n % 3 + 1)), unhex(printf('019000000000700080%014x', n + 3)),
       iif(n % 2, 'admin', 'viewer'), n FROM n;

INSERT INTO service_account_managers (service_account_id, user_id, created_at)
VALUES (unhex('01900000000070008000000000001001'), unhex('01900000000070008000000000000001'), 6),
       (unhex('01900000000070008000000000001002'), unhex('01900000000070008000000000000001'), 7);

INSERT INTO password_links (user_id, hash, created_at, expires_at)
VALUES (unhex('01900000000070008000000000000002'), zeroblob(32), 1, 2);

INSERT INTO keyed_requests (account_id, key, request, made_id, made_at)
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 310)
SELECT unhex(printf('019000000000700080%014x', n % 7 + 1)), unhex(printf('%064x', n)), zeroblob(32), zeroblob(16), n FROM n;

INSERT INTO sessions (id, user_id, hash, device_name, created_at, last_used_at, expires_at)
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 310)
SELECT unhex(printf('019300000000700080%014x', n)), unhex(printf('019000000000700080%014x', n % 7 + 1)),
       unhex(printf('%064x', n)), iif(n % 3, 'phone ' || n, NULL), n, n + 1, n + 1000 FROM n;

-- Every second number, so that gaps stay gaps.
INSERT INTO tokens (number, id, owner_id, hash, hint, name, abilities, created_at, expires_at, last_used_at, revoked_at,
    environment_id, family_id, rotated_from, grace_ends_at, ends_on_first_use, disabled_at, revoked_reason, ip_allowlist,
    requests_per_minute, quota, quota_used, lineage_id, description, metadata, canary, created_by)
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 250),
    t (n, id) AS (SELECT n, unhex(printf('019200000000700080%014x', n)) FROM n)
SELECT n * 2, id, unhex(printf('019000000000700080%014x', n % 7 + 1)), unhex(printf('%064x', n)), 'abcd', 'ci ' || n,
       iif(n % 4, 'calls:read calls:write', ''), n, iif(n % 3, n + 1000000, NULL), iif(n % 2, n + 5, NULL),
       iif(n % 8, NULL, n + 9), iif(n % 11, NULL, unhex('01910000000070008000000000000001')),
       iif(n % 10, id, unhex(printf('019200000000700080%014x', n - 1))),
       iif(n % 10, NULL, unhex(printf('019200000000700080%014x', n - 1))), iif(n % 6, NULL, n + 60), n % 6 = 0,
       iif(n % 13, NULL, n), iif(n % 8, NULL, 'leaked'), iif(n % 7, NULL, '10.0.0.0/8 ::1/128'), iif(n % 7, NULL, n),
       iif(n % 5, NULL, n), n % 5, iif(n % 9, NULL, id), iif(n % 5, NULL, 'what it is for'),
       iif(n % 5, NULL, '{"team":"ü"}'), n % 17 = 0, unhex('01900000000070008000000000000001')
FROM t;

-- Numbers of deleted tokens and events are not given again.
INSERT INTO tokens (number, id, owner_id, hash, hint, name, abilities, created_at, family_id)
VALUES (600, zeroblob(16), unhex('01900000000070008000000000000001'), zeroblob(32), 'abcd', 'gone', '', 1, zeroblob(16));
DELETE FROM tokens WHERE number = 600;

INSERT INTO token_usage (token_number, day, kind, name, allowed, refused)
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 400)
SELECT n % 20 * 2 + 2, 20000 + n / 20, iif(n % 2, 'policy', 'ability'), 'calls' || n % 4, n, n % 3 FROM n;

INSERT INTO token_usage_counting (only_row, since) VALUES (1, 77);
INSERT INTO token_usage_batches (process_id, part, batch, last_day)
VALUES (unhex('019400000000700080000000000000ff'), 0, 9223372036854775807, 20000),
       (unhex('019400000000700080000000000000ff'), 1, -5, -1),
       (unhex('019400000000700080000000000001ff'), 1, 7, 20001);

INSERT INTO token_addresses (token_id, address, user_agent, last_used_at)
SELECT id, '10.0.0.' || (number % 200), iif(number % 3, 'curl/8', NULL), number FROM tokens;

INSERT INTO audit_events (seq, at, user_id, actor_kind, actor_id, action, target_kind, target_id, address, request_id, outcome,
    detail, actor_user_id, erased_address, erased_detail)
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 650)
SELECT n * 3, n, iif(n % 5, unhex(printf('019000000000700080%014x', n % 450 + 1)), NULL), iif(n % 2, 'session', 'system'),
       iif(n % 2, unhex(printf('019300000000700080%014x', n)), NULL), 'token.created', 'user', NULL,
       iif(n % 4, '192.0.2.1', NULL), iif(n % 3, 'request ' || n, NULL), iif(n % 6, 'success', 'refused'),
       iif(n % 7, 'détail ' || n, NULL), NULL, iif(n % 4, NULL, zeroblob(32)), iif(n % 7, NULL, randomblob(32))
FROM n;
INSERT INTO audit_pruning VALUES (1, 9223372036854775807);
DELETE FROM audit_events WHERE seq > 1900;
DELETE FROM audit_pruning;

INSERT INTO audit_salts (user_id, salt)
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 320)
SELECT unhex(printf('019000000000700080%014x', n)), randomblob(32) FROM n;

-- The pruning of a seal is recorded by one with a larger number.
INSERT INTO audit_seals (number, kind, first_seq, last_seq, events, latest_at, sealed_at, content, digest, pruned_by)
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 320)
SELECT n, iif(n = 310, 'pruning', 'events'), n, n + 1, 2, n, n, randomblob(32), randomblob(32), iif(n < 9, 310, NULL) FROM n;

INSERT INTO attempts (scope, subject, origin, rests_at_micros)
WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 305)
SELECT iif(n % 2, 'sign_in', 'register'), zeroblob(16), unhex(printf('%032x', n)), n FROM n;

INSERT INTO clock (only_row, latest_time, last_event) VALUES (1, 1000, 1899);

COMMIT;
