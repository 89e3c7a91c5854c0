package clickhouse

import (
	"fmt"
	"testing"

	"reckoner/ledger"
)

// BenchmarkUsages reads among entries of a thousand accounts, each with a subscription, every tenth a revert.
func BenchmarkUsages(b *testing.B) {
	l := openLedger(b)
	const million = 1_000_000
	for i := range 4 {
		err := l.conn.Exec(b.Context(), fmt.Sprintf(`
			INSERT INTO entries (log, partition, offset, index, account_id, organization_id, subscription_id, meter, meter_type, event_id,
				kind, usage_id, quantity, outcome, usage_time, received_at, period_start, period_end, bucket, fingerprint, rules)
			SELECT 1, n %% 16, intDiv(n, 16), 0, toString(reinterpretAsUUID(sipHash128(n %% 1000))), 'org', concat('sub_', toString(n %% 1000)), 'credit', 'interval',
				if(n %% 10 = 9, concat('rev_', toString(n)), concat('usg_', toString(n))), if(n %% 10 = 9, 'revert', 'usage'),
				if(n %% 10 = 9, concat('usg_', toString(n - 5)), ''), if(n %% 10 = 9, -0.5, 1), if(n %% 10 = 9, 'reverted', 'applied'),
				toDateTime64('2026-03-01 00:00:00', 9, 'UTC') + toIntervalSecond(n) AS t, t, t, t, t, '0123456789abcdef', 1
			FROM (SELECT number AS n FROM numbers(%d, %d))`, i*million, million))
		if err != nil {
			b.Fatal(err)
		}
	}
	all := ledger.UsageList{Limit: 100, Sort: []ledger.UsageSort{{Field: ledger.UsageCreated}}}
	one := all
	one.Subscriptions = &ledger.TextFilter{Values: []string{"sub_7"}}
	for _, c := range []struct {
		name string
		run  func(i int) (int, error)
	}{
		{"find", func(i int) (int, error) {
			got, err := l.FindUsages(b.Context(), ledger.UsageLookup{ID: fmt.Sprint("usg_", (i*7919%(4*million))/10*10)})
			return len(got), err
		}},
		{"find none", func(i int) (int, error) {
			got, err := l.FindUsages(b.Context(), ledger.UsageLookup{ID: fmt.Sprint("nobody", i)})
			return len(got) + 1, err
		}},
		{"list a subscription", func(int) (int, error) { got, _, err := l.ListUsages(b.Context(), one); return len(got), err }},
		{"list all", func(int) (int, error) { got, _, err := l.ListUsages(b.Context(), all); return len(got), err }},
	} {
		b.Run(c.name, func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if n, err := c.run(i); err != nil || n == 0 {
					b.Fatal(i, n, err)
				}
			}
		})
	}
}
