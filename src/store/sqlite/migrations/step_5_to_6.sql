-- Version 5 to 6: a CHECK that names three values or more compares with OR (see schema.sql). What is allowed stays the
-- same, so the definitions are edited in place and no row is touched, however many there are. A step that was released
-- is never edited.

PRAGMA writable_schema = ON;

UPDATE sqlite_schema SET sql = replace(sql,
    'CHECK (revoked_reason IN
        (''revoked_by_owner'', ''rotated'', ''leaked'', ''owner_disabled'', ''reuse_detected'', ''expired''))',
    'CHECK (revoked_reason = ''revoked_by_owner'' OR revoked_reason = ''rotated''
        OR revoked_reason = ''leaked'' OR revoked_reason = ''owner_disabled'' OR revoked_reason = ''reuse_detected''
        OR revoked_reason = ''expired'')')
WHERE type = 'table' AND name = 'tokens';

UPDATE sqlite_schema SET sql = replace(replace(sql,
    'CHECK (actor_kind IN
        (''session'', ''personal_access_token'', ''environment_token'', ''command_line'', ''anonymous'', ''system''))',
    'CHECK (actor_kind = ''session'' OR actor_kind = ''personal_access_token''
        OR actor_kind = ''environment_token'' OR actor_kind = ''command_line'' OR actor_kind = ''anonymous''
        OR actor_kind = ''system'')'),
    'CHECK (target_kind IN
        (''user'', ''session'', ''personal_access_token'', ''environment_token'', ''environment''))',
    'CHECK (target_kind = ''user'' OR target_kind = ''session''
        OR target_kind = ''personal_access_token'' OR target_kind = ''environment_token'' OR target_kind = ''environment'')')
WHERE type = 'table' AND name = 'audit_events';

PRAGMA writable_schema = RESET;
