package ledger

import (
	"context"
	"time"
)

// CatalogRow is one entity of the catalog as it is copied beside the ledger.
type CatalogRow struct {
	Kind, ID  string    // both name the entity; kind in the singular
	Version   uint64    // of the change that the row tells; a later change has a greater one
	Deleted   bool      // the change removed the entity
	Entity    string    // JSON without secrets; empty of one that was deleted
	ChangedAt time.Time // when the change was written; zero: unknown
}

// CatalogMirror keeps a copy of the catalog beside the ledger, for those who join names to totals. Nobody decides
// anything by it.
type CatalogMirror interface {
	// CatalogVersion returns the greatest version of any row, 0 when there is none.
	CatalogVersion(ctx context.Context) (uint64, error)
	// WriteCatalog stores rows in one piece: all of them or none. Of one entity the row of the greatest version stays,
	// so writing again, or by several at once, changes nothing. It returns nil only when the rows are durable.
	//
	// A writer that goes on from CatalogVersion writes in the order of versions: what it reads there then says that all
	// entities whose last change is not above it are stored.
	WriteCatalog(ctx context.Context, rows []CatalogRow) error
}
