package bench

import (
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"reckoner/internal/app"
	"reckoner/internal/bus"
)

// TestEnginesThatWereNamed measures on engines that run apart, as a cluster does. What a row puts there is gone after it,
// so that the next one finds nothing; and nothing is touched of a cluster that somebody uses.
func TestEnginesThatWereNamed(t *testing.T) {
	o := quickly(t, "ingest-single", "pipeline", "restore")
	o.External = true
	s := *o.Settings
	s.Listen, s.OpsListen, s.Kafka.Listen, s.ClickHouse.Listen = "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	s.DataDir = t.TempDir()
	p := app.NewProcess(&s, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := p.Stop(s.Shutdown.Timeout); err != nil {
			t.Error(err)
		}
	})
	if err := app.Engines(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	o.Settings.Kafka.Brokers, o.Settings.ClickHouse.URL = []string{p.Addresses.Kafka}, "http://"+p.Addresses.ClickHouse
	report, err := Run(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if r.Error != "" {
			t.Errorf("%s: %s", r.Name, r.Error)
		}
	}
	client, err := bus.Open(bus.Options{Brokers: o.Settings.Kafka.Brokers})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if left, err := client.Topics(t.Context()); err != nil || len(left) > 0 {
		t.Errorf("topics are left: %v, %v", left, err)
	}
	if left := show(t, o.Settings.ClickHouse.URL); strings.Contains(left, "reckoner") {
		t.Errorf("databases are left: %s", left)
	}
	if left, err := os.ReadDir(o.Dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}

	// Somebody's topic.
	specs := slices.DeleteFunc(bus.Topics(4, 0), func(s bus.TopicSpec) bool { return s.Name != bus.TopicEvents })
	if err := client.EnsureTopics(t.Context(), specs); err != nil {
		t.Fatal(err)
	}
	o.Only = []string{"ingest-single"}
	if report, err = Run(t.Context(), o); err != nil || !strings.Contains(report.Results[0].Error, errUsed.Error()) {
		t.Errorf("a cluster in use: %v, %+v", err, report)
	}
	if there, err := client.Topics(t.Context()); err != nil || !slices.Equal(there, []string{bus.TopicEvents}) {
		t.Errorf("topics afterwards: %v, %v", there, err)
	}
}

func show(t *testing.T, clickhouse string) string {
	t.Helper()
	res, err := http.Get(clickhouse + "/?query=SHOW+DATABASES")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b := make([]byte, 1<<16)
	n, _ := res.Body.Read(b)
	return string(b[:n])
}
