package floor

import (
	"context"
	"embed"
	"fmt"
)

// The queries that a restore makes, word for word; a test holds them against the product's.
//
//go:embed queries/*.sql
var queryFiles embed.FS

// restoreQueries are the files of those.
func restoreQueries() []string {
	return []string{"queries/restore_entries.sql", "queries/restore_refusals.sql"}
}

// Restore reads the rows from which a partition's state is rebuilt, those of log 1 below an offset, and does nothing
// with them. The database is that of the URL. It returns how many there were.
func (d *DB) Restore(ctx context.Context, partition int32, below int64) (rows int64, err error) {
	for _, file := range restoreQueries() {
		text, err := queryFiles.ReadFile(file)
		if err != nil {
			return 0, err
		}
		n, err := d.Drain(ctx, string(text), Param{"log", uint32(1)}, Param{"partition", partition}, Param{"below", below},
			Param{"after", ""}, Param{"after_log", uint32(0)}, Param{"after_offset", int64(-1)}, Param{"after_index", int32(0)})
		if err != nil {
			return 0, fmt.Errorf("%s: %w", file, err)
		}
		rows += n
	}
	return rows, nil
}
