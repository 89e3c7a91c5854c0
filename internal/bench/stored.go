package bench

import (
	"fmt"
	"path/filepath"
)

// stored tells how many bytes an event takes of each store, once ClickHouse has merged what it was given: what a
// deployment's disks are sized by. The log is that of one broker, without replicas; of a broker that was named it is
// not known.
func (s *site) stored(f *filled, database string, r *Result) error {
	for _, table := range []string{"entries", "refusals", "totals", "checkpoints"} {
		if err := s.db.Exec(s.ctx, "OPTIMIZE TABLE "+database+"."+table+" FINAL"); err != nil {
			return fmt.Errorf("merge %s: %w", table, err)
		}
	}
	var ledger uint64
	err := s.db.One(s.ctx, "SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = '"+database+"'", &ledger)
	if err != nil {
		return err
	}
	states, err := treeBytes(s.states(database, 0))
	if err != nil {
		return err
	}
	per := float64(f.events)
	r.extra("ledger_bytes_per_event", float64(ledger)/per)
	r.extra("state_bytes_per_event", float64(states)/per)
	if s.External {
		return nil
	}
	log, err := treeBytes(filepath.Join(s.dir, "data", "kafka"))
	r.extra("log_bytes_per_event", float64(log)/per)
	return err
}
