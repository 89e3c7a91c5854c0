//go:build ops

package opstest_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"reckoner/internal/processtest"
)

// TestWhatRunbooksAskIsAnswered runs every query of docs/runbooks in the ledger of a real `dev`, asks every address, and
// looks for every metric that a page looks for.
func TestWhatRunbooksAskIsAnswered(t *testing.T) {
	d := startDev(t)
	account := uuid.NewString()
	eventually(t, patience, func() string { // what is asked for is there
		_, _ = d.sendWaiting(account, usage{uuid.NewString(), 1}) // the ledger tells
		if got, err := sqlAt(t, d.clickhouse, "SELECT count() > 0 FROM reckoner.account_totals"); err != nil || got != "1" {
			return "nothing is counted"
		}
		return ""
	})
	queries, addresses := 0, 0
	_, shown := processtest.Get("http://" + d.process.ops + "/metrics")
	for page, text := range runbooks(t) {
		for _, found := range regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(text, -1) {
			queries++
			if _, err := sqlAt(t, d.clickhouse, found[1]); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
		for _, found := range regexp.MustCompile(`\$OPS(/[^"]+)"(.*)`).FindAllStringSubmatch(text, -1) {
			addresses++
			status, answer := processtest.Get("http://" + d.process.ops + found[1])
			if status != http.StatusOK {
				t.Errorf("%s: %s is answered %d %s", page, found[1], status, answer)
			}
			for _, name := range series(found[2]) {
				if !strings.Contains(shown, name) {
					t.Errorf("%s looks for %s, and `dev` shows no such thing", page, name)
				}
			}
		}
	}
	if queries < 8 || addresses < 15 {
		t.Errorf("%d queries and %d addresses were found", queries, addresses)
	}
}
