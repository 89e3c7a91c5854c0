package ingest

import (
	"context"

	"reckoner/ledger"
)

// usageReads is the part of a fake ledger that the usages dialect reads. It answers with what it holds and keeps what it
// was asked.
type usageReads struct {
	found, refused, page []ledger.UsageRecord
	count                uint64
	lookups              []ledger.UsageLookup
	lists                []ledger.UsageList
}

func (f *fakeReader) FindUsages(_ context.Context, q ledger.UsageLookup) ([]ledger.UsageRecord, error) {
	f.usages.lookups = append(f.usages.lookups, q)
	return f.usages.found, f.err
}

func (f *fakeReader) FindRefused(_ context.Context, q ledger.UsageLookup) ([]ledger.UsageRecord, error) {
	f.usages.lookups = append(f.usages.lookups, q)
	return f.usages.refused, f.err
}

func (f *fakeReader) ListUsages(_ context.Context, q ledger.UsageList) ([]ledger.UsageRecord, uint64, error) {
	f.usages.lists = append(f.usages.lists, q)
	return f.usages.page, f.usages.count, f.err
}
