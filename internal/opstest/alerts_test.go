//go:build ops

package opstest_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"reckoner/internal/processtest"
)

// notCaused are the alerts that no test here makes fire by their cause, and why. They have their cases for promtool.
func notCaused() map[string]string {
	return map[string]string{
		"ReckonerPanics":            "a defect that a test can cause is one that we have",
		"ReckonerReportsUnaccepted": "its 20 hours are told by the program's own clock",
	}
}

// patience is how long an alert may take: most wait ten minutes in production, and so ten seconds here.
const patience = 90 * time.Second

// step makes the cause of some alerts, waits for them, mends the cause, and waits until they are clear.
type step struct {
	name   string
	alerts []string
	make   func(w *world, p *prometheus, t *testing.T)
	begin  func(w *world) // what is done before the first step, where the alert takes its time; nil: nothing
}

func steps() []step {
	return []step{
		{"Prometheus loses its targets", []string{"ReckonerNothingScraped"}, (*world).targetsAreGone, nil},
		{"the aggregator is killed", []string{"ReckonerInstanceDown", "ReckonerPartitionsUnowned"}, (*world).aggregatorIsKilled, nil},
		{"the aggregator is killed again and again", []string{"ReckonerRestarting"}, (*world).aggregatorRestarts, nil},
		{"the aggregator loses its states", []string{"ReckonerPartitionsNotOpen"}, (*world).statesAreLost, nil},
		{"ClickHouse is killed", []string{
			"ReckonerLedgerInsertsFailing", "ReckonerPartitionStalled", "ReckonerLagGrowing", "ReckonerAuditFailing", "ReckonerReportsLate",
		}, (*world).clickHouseIsKilled, nil},
		{"Kafka is away", []string{"ReckonerRequestsFailing", "ReckonerCatalogStale", "ReckonerNotAMember"}, (*world).kafkaIsAway, nil},
		{"a record is no event", []string{"ReckonerDeadLetters"}, (*world).recordIsNoEvent, nil},
		{"a record is in the wrong partition", []string{"ReckonerMisroutedEvents"}, (*world).recordIsMisrouted, nil},
		{"a producer uses ids twice", []string{"ReckonerRefusalsJumped"}, (*world).producerConflicts, nil},
		{"a total is changed", []string{"ReckonerLedgerMismatch"}, (*world).totalIsChanged, nil},
		{"the ledger's checkpoints are lost", []string{"ReckonerPartitionStopped"}, (*world).checkpointsAreLost, nil},
		{"a disk fills", []string{"ReckonerStateDiskFilling", "ReckonerStateDiskAlmostFull"}, (*world).diskFills, nil},
		{"the partner refuses everything", []string{"ReckonerReportsFailing"}, (*world).partnerRefuses, func(w *world) { w.partnerFails.Store(true) }},
	}
}

// TestAlertsFireByTheirCauseAndClear makes the cause of each alert in a real installation, watched by a real Prometheus
// with the rules of deploy/prometheus, whose clock runs faster. Each must fire, and clear when its cause is mended; what
// was counted meanwhile must be exact.
func TestAlertsFireByTheirCauseAndClear(t *testing.T) {
	w := newWorld(t)
	p := startPrometheus(t, w.aggregate.ops, w.ingest.ops, w.report.ops)
	stop := w.load(t, 50*time.Millisecond)
	eventually(t, patience, func() string {
		found, err := p.query(`outcome:reckoner_events:share1d{outcome="applied"} offset 10s > 0.5`)
		if err != nil || len(found) == 0 {
			return "there is no past to compare with"
		}
		return ""
	})
	p.quiet(t, "")
	for _, one := range []*process{w.aggregate, w.ingest, w.report} {
		_, text := processtest.Get("http://" + one.ops + "/metrics")
		asInTheReference(t, one.Name, text)
	}
	for _, s := range steps() {
		if s.begin != nil {
			s.begin(w)
		}
	}
	for _, s := range steps() {
		t.Run(s.name, func(t *testing.T) {
			if s.begin == nil {
				p.quiet(t, s.alerts...)
			}
			s.make(w, p, t)
			p.quiet(t, s.alerts...)
		})
		if t.Failed() {
			return // what is broken would break what follows
		}
	}
	stop()
	w.run(t, "verify")
}

// TestEveryAlertHasACause: an alert that is new is caused above, or it says why not.
func TestEveryAlertHasACause(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "deploy", "prometheus", "rules", "alerts.yml"))
	must(t, err)
	var want []string
	for _, found := range regexp.MustCompile(`(?m)^ +- alert: (\w+)$`).FindAllStringSubmatch(string(text), -1) {
		want = append(want, found[1])
	}
	got := slices.Collect(maps.Keys(notCaused()))
	for _, s := range steps() {
		got = append(got, s.alerts...)
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("alerts that are caused here:\n%q\nalerts that there are:\n%q", got, want)
	}
}
