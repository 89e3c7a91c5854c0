package bench

import (
	"context"
	"embed"
	"fmt"
	"strings"
	"text/template"
	"time"

	"reckoner/internal/bench/workload"
)

//go:embed sql/*.sql
var sqlFiles embed.FS

// under is what the statements of sql/ are about.
type under struct {
	Database, Account   string
	From, Count, Others int64
}

// statement renders one of sql/.
func statement(name string, u under) (string, error) {
	t, err := template.New(name+".sql").Option("missingkey=error").ParseFS(sqlFiles, "sql/"+name+".sql")
	if err != nil {
		return "", err
	}
	var b strings.Builder
	err = t.Execute(&b, u)
	return strings.TrimSpace(b.String()), err
}

// insertRows is how many entries are made by one statement.
const insertRows = 2_000_000

// accountTotals asks for one account that has half of all entries, over a year: 35,000 buckets of two meters. The floor
// is the same sum over a table that holds the same rows and promises nothing: merged, of one version, without FINAL.
//
// The rows are made inside of ClickHouse, for only reading is measured; the totals come from the entries.
func accountTotals(ctx context.Context, s *site, r *Result) error {
	if err := s.engines(); err != nil {
		return err
	}
	if err := s.migrate(oursDatabase, nil); err != nil {
		return err
	}
	u := under{Database: oursDatabase, Account: workload.AccountID(s.Seed, 0), Others: workload.AccountsDefault}
	if err := s.makeTotals(ctx, u); err != nil {
		return err
	}
	var took, floors []time.Duration
	m := s.meter()
	var answers [2]string
	err := m.during(func() (int64, error) {
		for n := range s.scale.reads + 3 {
			for i, name := range []string{"view_sum", "plain_sum"} {
				began := time.Now()
				answer, err := s.answer(ctx, name, u)
				if err != nil {
					return 0, err
				}
				if answers[i] = answer; n < 3 { // the first warm caches
					continue
				}
				if i == 0 {
					took = append(took, time.Since(began))
				} else {
					floors = append(floors, time.Since(began))
				}
			}
		}
		return 0, nil
	})
	if err != nil {
		return err
	}
	began := time.Now()
	entries, err := s.answer(ctx, "entries_sum", u)
	if err != nil {
		return err
	}
	r.extra("entries_sum_ms", millis(time.Since(began)))
	if answers[0] != answers[1] || answers[0] != entries || answers[0] == "" {
		return fmt.Errorf("the view says %q, the plain table %q, the entries %q", answers[0], answers[1], entries)
	}
	r.ratio(quantile(took, 50), quantile(floors, 50))
	r.spread(took)
	r.extra("floor_p99_ms", quantile(floors, 99))
	m.report(r)
	r.Met = *r.Ratio <= 3 && *r.Ours <= 60
	return nil
}

// makeTotals fills the tables. Of the totals there are two versions, as of an account that goes on.
func (s *site) makeTotals(ctx context.Context, u under) error {
	began := time.Now()
	for u.From = 0; u.From < s.scale.entries; u.From += insertRows {
		u.Count = min(insertRows, s.scale.entries-u.From)
		if err := s.exec(ctx, "entries", u); err != nil {
			return err
		}
	}
	for _, u.Count = range []int64{s.scale.entries / 2, s.scale.entries} {
		if err := s.exec(ctx, "totals", u); err != nil {
			return err
		}
	}
	s.say("  %d entries and their totals are there after %s", s.scale.entries, time.Since(began).Round(time.Second))
	return s.exec(ctx, "plain", u)
}

func (s *site) exec(ctx context.Context, name string, u under) error {
	sql, err := statement(name, u)
	if err != nil {
		return err
	}
	return s.db.Exec(ctx, sql)
}

// answer returns the rows of a sum as text.
func (s *site) answer(ctx context.Context, name string, u under) (string, error) {
	sql, err := statement(name, u)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	var meter, quantity string
	var events, reverts uint64
	var first, last time.Time
	err = s.db.Each(ctx, sql, func() error {
		fmt.Fprintln(&b, meter, quantity, events, reverts, first.UTC(), last.UTC())
		return nil
	}, &meter, &quantity, &events, &reverts, &first, &last)
	return b.String(), err
}
