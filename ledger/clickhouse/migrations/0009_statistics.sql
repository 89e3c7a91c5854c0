-- No statistics of columns. Since 26.4 the server makes some for every column, at every insert and every merge: a fifth of
-- what a merge takes. They serve the order of joins, and the prewhere of filters that no key and no index serves; the
-- ledger's queries go by its keys. docs/adr/0026-write-path.md has the figures.
ALTER TABLE {{table "entries"}} MODIFY SETTING auto_statistics_types = '';
ALTER TABLE {{table "refusals"}} MODIFY SETTING auto_statistics_types = '';
ALTER TABLE {{table "totals"}} MODIFY SETTING auto_statistics_types = '';
