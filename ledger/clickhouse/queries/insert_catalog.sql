INSERT INTO catalog (kind, id, version, deleted, entity, changed_at)
