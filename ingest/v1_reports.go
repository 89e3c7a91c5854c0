package ingest

import (
	"context"
	"encoding/hex"
	"time"

	"reckoner/ledger"
)

// reportJSON is the first report that a partner accepted with an event in it.
type reportJSON struct {
	InstallationID string     `json:"installation_id"`
	Target         string     `json:"target"`
	Timestamp      string     `json:"timestamp"`
	EOD            string     `json:"eod"`
	Period         periodJSON `json:"period"`
	PayloadSHA256  string     `json:"payload_sha256"`
}

// reportsOf returns the reports that carried an entry, of each installation the first; none of what does not count.
func (v *v1) reportsOf(ctx context.Context, e *ledger.Entry) ([]reportJSON, error) {
	reports := []reportJSON{}
	if e == nil {
		return reports, nil
	}
	carriers, err := v.ledger.Carriers(ctx, e)
	if err != nil {
		return nil, unread(err)
	}
	for i := range carriers {
		r := &carriers[i]
		reports = append(reports, reportJSON{
			InstallationID: r.InstallationID, Target: r.Target, Timestamp: inZone(r.Timestamp, time.UTC), EOD: inZone(r.Day.End, time.UTC),
			Period: periodJSON{inZone(r.Period.Start, time.UTC), inZone(r.Period.End, time.UTC)}, PayloadSHA256: hex.EncodeToString(r.PayloadSHA256[:]),
		})
	}
	return reports, nil
}
