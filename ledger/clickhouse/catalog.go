package clickhouse

import (
	"context"
	"fmt"

	"reckoner/ledger"
)

// CatalogVersion implements ledger.CatalogMirror.
func (l *Ledger) CatalogVersion(ctx context.Context) (version uint64, err error) {
	if err := l.conn.QueryRow(ctx, l.queries.catalogVersion).Scan(&version); err != nil {
		return 0, fmt.Errorf("read the version of the copied catalog: %w", explain(err))
	}
	return version, nil
}

// catalogRowsMax is below max_insert_block_size: of more rows the server makes several parts, and half could be stored.
const catalogRowsMax = 1_000_000

// WriteCatalog implements ledger.CatalogMirror.
func (l *Ledger) WriteCatalog(ctx context.Context, rows []ledger.CatalogRow) error {
	if len(rows) > catalogRowsMax {
		return fmt.Errorf("write %d rows of the catalog: no more than %d go in one piece", len(rows), catalogRowsMax)
	}
	return insert(ctx, l, l.tables.catalog, rows)
}
