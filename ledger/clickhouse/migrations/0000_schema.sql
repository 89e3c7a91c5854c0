-- Which migrations were applied. This file alone runs before every migration.
CREATE TABLE IF NOT EXISTS {{global "schema_migrations"}}
(
    `version` UInt32,
    `name` String,
    `checksum` String,
    `applied_at` DateTime64(3, 'UTC')
)
ENGINE = {{replacing "global" ""}}
ORDER BY (`version`, `checksum`)
SETTINGS {{settings}};
