-- Version 4 to 5: a family's live ones are found without its ended ones. A step that was released is never edited.

DROP INDEX tokens_live_successor;
CREATE UNIQUE INDEX tokens_live_successor ON tokens (family_id, rotated_from)
    WHERE rotated_from IS NOT NULL AND revoked_at IS NULL;
