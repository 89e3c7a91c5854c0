package bench

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"time"

	"reckoner/internal/app"
)

// verifyLog replays a log and compares every row, in turns with deciding it.
func verifyLog(ctx context.Context, s *site, r *Result) error {
	f, err := s.fill(s.scale.logEvents)
	if err != nil {
		return err
	}
	var ours, floors []float64
	m, fm := s.meter(), meter{}
	for turn := range s.scale.turns {
		var decided, verified float64
		err := fm.during(func() (n int64, err error) {
			decided, err = s.decide(f, oursDatabase, 1, nil)
			return f.events, err
		})
		if err != nil {
			return err
		}
		err = m.during(func() (int64, error) {
			verified, err = s.verified(ctx, f)
			return f.events, err
		})
		if err != nil {
			return err
		}
		ours, floors = append(ours, verified), append(floors, decided)
		s.say("  turn %d: verified %.0f, decided %.0f events/s", turn+1, verified, decided)
		if err := s.drop(oursDatabase); err != nil {
			return err
		}
		if err := os.RemoveAll(s.states(oursDatabase, 0)); err != nil {
			return err
		}
	}
	r.ratio(median(ours), median(floors))
	r.extra("events", float64(f.events))
	m.report(r)
	fm.reportFloor(r)
	r.Met = *r.Ratio >= 0.8
	return nil
}

// verified is one `reckoner verify`. A difference is an error: the ledger was just written.
func (s *site) verified(ctx context.Context, f *filled) (eventsPerSecond float64, err error) {
	p := app.NewProcess(s.settings(oursDatabase, nil), s.Log)
	var out bytes.Buffer
	began := time.Now()
	clean, err := app.Verify(ctx, p, &out, nil)
	took := time.Since(began)
	if err := p.End(err); err != nil {
		return 0, err
	}
	if !clean {
		return 0, fmt.Errorf("the ledger is not what the log gives:\n%s", out.String())
	}
	return rate(f.events, took), nil
}
