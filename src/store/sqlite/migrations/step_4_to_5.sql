-- Version 4 to 5: a family's live ones are found without its ended ones, and the audit trail may be pruned. A step that was
-- released is never edited.

DROP INDEX tokens_live_successor;
CREATE UNIQUE INDEX tokens_live_successor ON tokens (family_id, rotated_from)
    WHERE rotated_from IS NOT NULL AND revoked_at IS NULL;

CREATE TABLE audit_pruning (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1),
    before INTEGER NOT NULL
) STRICT;
DROP TRIGGER audit_events_are_not_deleted;
CREATE TRIGGER audit_events_are_not_deleted BEFORE DELETE ON audit_events
WHEN NOT EXISTS (SELECT 1 FROM audit_pruning WHERE before > old.at)
BEGIN
    SELECT RAISE(ABORT, 'an audit event is never deleted');
END;
