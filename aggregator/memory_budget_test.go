package aggregator

import (
	"fmt"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"reckoner"
)

// What the budget takes a decided record for is about what it holds, so that the limit is one of memory.
func TestBudgetCountsMemory(t *testing.T) {
	for _, tt := range []struct {
		name    string
		event   func(i int) *reckoner.Event
		outcome reckoner.Outcome
	}{
		{"usages of many accounts", func(i int) *reckoner.Event { return usage(uuidOf(i), uuidOf(i), 1, described) }, reckoner.Applied},
		{"usages of one account", func(i int) *reckoner.Event { return usage(uuidOf(1), uuidOf(i), 1, described) }, reckoner.Applied},
		{"refusals", func(i int) *reckoner.Event { return revert(uuidOf(i), uuidOf(i), uuidOf(i)) }, reckoner.UnknownUsage},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const records = 20_000
			s := mustCreate(t, filepath.Join(t.TempDir(), "p"), testOptions(t))
			p := newPartition(testLog(), testPartition, func([]byte, int) int { return testPartition }, s)
			before := heap()
			var counted int
			for n := 0; n < records; n += 1000 {
				recs := make([]Record, 1000)
				for i := range recs {
					recs[i] = recordOf(t, int64(n+i), tt.event(n+i))
				}
				got, err := p.decide(recs)
				must(t, err)
				counted += got.bytes
				if got.outcomes[tt.outcome] != len(recs) {
					t.Fatalf("not all are %s: %v", tt.outcome, got.outcomes)
				}
			}
			held := heap() - before
			t.Logf("held %d bytes a record, counted %d", held/records, counted/records)
			if held > counted*5/4 || held < counted/3 {
				t.Errorf("held %d bytes, counted %d", held, counted)
			}
			runtime.KeepAlive(p)
			must(t, p.close())
		})
	}
}

func uuidOf(i int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", i) }

// described puts texts onto a usage as producers do.
func described(e *reckoner.Event) {
	e.OrganizationID, e.Description, e.UserID = "organization", "a usage", "user-1234"
	e.Metadata = []reckoner.Label{{Key: "model", Value: "large"}, {Key: "region", Value: "eu-central-1"}, {Key: "tokens", Value: "1234", JSON: true}}
	e.UsageTime = day().Add(time.Duration(len(e.ID)) * time.Second)
}

func heap() int {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
