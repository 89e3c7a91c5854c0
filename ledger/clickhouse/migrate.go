package clickhouse

import (
	"context"
	"errors"
	"fmt"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"reckoner/ledger"
)

// Migrate brings the schema up to this build and calls progress (if not nil) after each migration it applied. It is
// safe to run at any time and twice at once: every statement is idempotent, and what was applied is recorded after it
// ran. A newer schema, or an applied migration that reads otherwise today, is ledger.ErrSchema.
func (l *Ledger) Migrate(ctx context.Context, progress func(version uint32, name string)) error {
	if err := l.createDatabase(ctx); err != nil {
		return fmt.Errorf("create database %s: %w", l.schema.database, explain(err))
	}
	all, err := migrations()
	if err != nil {
		return err
	}
	if err := l.run(ctx, all[0]); err != nil {
		return err
	}
	applied, err := l.applied(ctx)
	if err != nil {
		return err
	}
	if err := checkApplied(all, applied); err != nil {
		return err
	}
	for _, m := range all {
		if _, done := applied[m.version]; done {
			continue
		}
		if err := l.apply(ctx, m); err != nil {
			return err
		}
		l.log.Info("schema migrated", "version", m.version, "name", m.name)
		if progress != nil {
			progress(m.version, m.name)
		}
	}
	return nil
}

// SchemaVersion returns the number of the newest migration applied, and whether the schema exists at all.
func (l *Ledger) SchemaVersion(ctx context.Context) (version uint32, exists bool, err error) {
	applied, err := l.applied(ctx)
	if err != nil {
		if isMissing(err) {
			return 0, false, nil
		}
		return 0, false, err
	}
	for v := range applied {
		version, exists = max(version, v), true
	}
	return version, exists, nil
}

// CheckSchema returns nil when the schema is what this build works with, else an ErrSchema that says what to do.
func (l *Ledger) CheckSchema(ctx context.Context) error {
	all, err := migrations()
	if err != nil {
		return err
	}
	applied, err := l.applied(ctx)
	if err != nil && !isMissing(err) {
		return err
	}
	if err := checkApplied(all, applied); err != nil {
		return err
	}
	if len(applied) < len(all) {
		return fmt.Errorf("%w: %d of %d migrations are applied: run `reckoner migrate`", ledger.ErrSchema,
			len(applied), len(all))
	}
	return nil
}

func (l *Ledger) createDatabase(ctx context.Context) error {
	text, err := query("create_database")
	if err != nil {
		return err
	}
	statements, err := l.schema.statements(migration{name: "create_database", text: text})
	if err != nil {
		return err
	}
	opt := l.base
	conn, err := ch.Open(&opt)
	if err != nil {
		return err
	}
	return errors.Join(conn.Exec(ctx, statements[0]), conn.Close())
}

func (l *Ledger) apply(ctx context.Context, m migration) error {
	if err := l.run(ctx, m); err != nil {
		return err
	}
	err := l.conn.Exec(ctx, l.queries.migrationRecord, ch.Named("version", m.version), ch.Named("name", m.name),
		ch.Named("checksum", m.checksum))
	if err != nil {
		return fmt.Errorf("record migration %s: %w", m.name, explain(err))
	}
	return nil
}

func (l *Ledger) run(ctx context.Context, m migration) error {
	statements, err := l.schema.statements(m)
	if err != nil {
		return fmt.Errorf("migration %s: %w", m.name, err)
	}
	for i, s := range statements {
		if err := l.conn.Exec(ctx, s); err != nil {
			return fmt.Errorf("migration %s, statement %d: %w", m.name, i+1, explain(err))
		}
	}
	return nil
}

// applied returns the checksums on record; two of one version are two builds that disagree.
func (l *Ledger) applied(ctx context.Context) (map[uint32]string, error) {
	rows, err := l.conn.Query(ctx, l.queries.migrationsApplied)
	if err != nil {
		return nil, fmt.Errorf("read schema_migrations: %w", explain(err))
	}
	defer rows.Close()
	applied := map[uint32]string{}
	for rows.Next() {
		var version uint32
		var name, checksum string
		if err := rows.Scan(&version, &name, &checksum); err != nil {
			return nil, fmt.Errorf("read schema_migrations: %w", err)
		}
		if other, twice := applied[version]; twice && other != checksum {
			return nil, refusal{fmt.Errorf("%w: migration %s was applied by two builds that disagree about it: keep the build that "+
				"wrote the tables as they are, and delete the other's row from schema_migrations", ledger.ErrSchema, name)}
		}
		applied[version] = checksum
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read schema_migrations: %w", explain(err))
	}
	return applied, nil
}

func checkApplied(all []migration, applied map[uint32]string) error {
	for version, checksum := range applied {
		if int(version) >= len(all) {
			return refusal{fmt.Errorf("%w: it is at version %d, this build knows %d: run a newer build of reckoner",
				ledger.ErrSchema, version, len(all)-1)}
		}
		if m := all[version]; m.checksum != checksum {
			return refusal{fmt.Errorf("%w: migration %s reads otherwise than when it was applied: run the build that applied "+
				"it, or one that has a new migration instead", ledger.ErrSchema, m.name)}
		}
	}
	return nil
}
