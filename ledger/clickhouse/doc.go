// Package clickhouse keeps the ledger in ClickHouse. It implements the interfaces of package ledger and is the only
// package that imports clickhouse-go.
//
// All SQL is in migrations/*.sql and queries/*.sql; values reach it as parameters only. Rows are idempotent by key, so
// nothing here relies on ClickHouse's insert deduplication: it is switched off. The reasons behind the tables are in
// docs/adr/0008-ledger-schema.md.
package clickhouse
