package ingest

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"reckoner"
)

// Carriers are asked for of what counts alone, and an entry that no report has carried yet has an empty list.
func TestReportsOfAnEvent(t *testing.T) {
	w := newV1World(t)
	w.reader.story = v1Story()
	type event struct {
		Outcome string
		Reports *[]reportJSON
	}
	read := func() (reports []int) {
		a := w.request("GET", eventPath, "")
		var got struct{ Events []event }
		if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.status != 200 {
			t.Fatalf("%d %s (%v)", a.status, a.body, err)
		}
		for _, e := range got.Events {
			if e.Reports == nil {
				t.Fatalf("no list of reports: %s", a.body)
			}
			reports = append(reports, len(*e.Reports))
		}
		return reports
	}
	if diff := cmp.Diff([]int{0, 0, 0, 0, 0}, read()); diff != "" {
		t.Error(diff)
	}
	w.reader.carried, w.reader.entries = v1Carriers(), nil
	if diff := cmp.Diff([]int{2, 0, 2, 0, 0}, read()); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]reckoner.Position{{Log: 1, Partition: 3, Offset: 40}, {Log: 1, Partition: 3, Offset: 42}}, w.reader.entries); diff != "" {
		t.Error(diff)
	}
}
