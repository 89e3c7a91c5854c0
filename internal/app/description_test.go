package app

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"reckoner/internal/openapi"
	"reckoner/internal/openapi/openapitest"
)

// TestTheOperatorsPortIsAsItIsDescribed holds its answers, good and bad, against the API's description, and the routes in its
// source against those that are described, both ways. Go's own profiles are not.
func TestTheOperatorsPortIsAsItIsDescribed(t *testing.T) {
	var document struct {
		Paths map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(openapi.Document, &document); err != nil {
		t.Fatal(err)
	}
	var described []string
	for path, item := range document.Paths {
		if strings.Contains(string(item["get"]), `"operations"`) {
			described = append(described, path)
		}
	}
	source, err := os.ReadFile("ops.go")
	if err != nil {
		t.Fatal(err)
	}
	var served []string
	for _, m := range regexp.MustCompile(`mux\.Handle(?:Func)?\("(?:[A-Z]+ )?([^"]+)"`).FindAllStringSubmatch(string(source), -1) {
		if !strings.HasPrefix(m[1], "/debug/pprof/") {
			served = append(served, m[1])
		}
	}
	slices.Sort(described)
	slices.Sort(served)
	if !slices.Equal(described, served) || len(served) == 0 {
		t.Errorf("ops.go serves %v, and described is %v", served, described)
	}

	l, o := NewLifecycle(quiet), NewOps()
	addr, err := o.Serve(l, "127.0.0.1:0", quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Stop(time.Second); err != nil {
			t.Error(err)
		}
	}()
	c, err := openapitest.New()
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Timeout: 10 * time.Second, Transport: &openapitest.Transport{T: t, Checker: c}}
	ask := func(want map[string]int) {
		t.Helper()
		for _, path := range described {
			res, err := client.Get("http://" + addr + path)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != want[path] {
				t.Errorf("%s: %d, want %d", path, res.StatusCode, want[path])
			}
		}
	}
	o.Stage("")
	ask(map[string]int{"/metrics": 200, "/healthz": 200, "/readyz": 200})
	o.Ready("kafka", func(context.Context) error { return errors.New("no broker answers") })
	o.Healthy("progress", func(context.Context) error { return errors.New("partition 3 stands still") })
	ask(map[string]int{"/metrics": 200, "/healthz": 503, "/readyz": 503})
}
