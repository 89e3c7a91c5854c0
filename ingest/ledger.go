package ingest

import "reckoner/ledger"

// Ledger is what the routes read.
type Ledger interface {
	ledger.Reader
	ledger.StatementReader
	ledger.CarrierReader
}
