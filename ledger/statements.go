package ledger

import "context"

// StatementReader gives what the statements of an account are made of.
type StatementReader interface {
	// UsedSubscriptions returns the first subscriptions, by id, that an account has totals of, whether the catalog still has
	// them or not: "" is usage that names none.
	UsedSubscriptions(ctx context.Context, accountID string, limit int) ([]string, error)
	// Figures is that of FiguresReader.
	Figures(ctx context.Context, queries []FiguresQuery) ([]Figures, error)
}

// CarrierReader tells which reports carried an entry.
type CarrierReader interface {
	// Carriers is that of ReportReader.
	Carriers(ctx context.Context, e *Entry) ([]ReportCarrier, error)
}
