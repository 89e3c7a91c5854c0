package catalog

import (
	"bytes"
	"testing"
)

// Whatever a record holds, it is decided, and what takes place can be written and read again: it is the same change.
func FuzzChange(f *testing.F) {
	fed := newFeeder()
	d, err := NewDiff(fed.machine.Snapshot(), mustParse(f, "ground.yaml", ground), DiffOptions{By: "test"})
	if err != nil {
		f.Fatal(err)
	}
	fed.follow(f, d)
	for _, r := range fed.records {
		f.Add(r.Key, r.Value)
	}
	f.Add([]byte("plan/p"), []byte(`{"rules":2}`))
	f.Add([]byte("plan/lite"), []byte(`{"rules":1,"change":"6a0e0000-0000-4000-8000-000000000001","kind":"plan","id":"lite","expect":6}`))
	f.Fuzz(func(t *testing.T, key, value []byte) {
		ch, faults, err := decodeChange(key, value)
		if err == nil && len(faults) == 0 {
			key2, value2, err := ch.Encode()
			if err != nil {
				return // longer than a change may be
			}
			again, faults, err := decodeChange(key2, value2)
			if err != nil || len(faults) > 0 || again.Ref() != ch.Ref() || (again.Entity == nil) != (ch.Entity == nil) ||
				ch.Entity != nil && !Same(again.Entity, ch.Entity) {
				t.Fatalf("%s\n%s\n%v %v", value, value2, err, faults)
			}
			if ch.Entity != nil && bytes.Contains(JSON(ch.Entity), []byte(`"secret_sha256":`)) && ch.Kind == CredentialKind {
				t.Fatalf("%s shows a hash", JSON(ch.Entity))
			}
		}
		m := NewMachine()
		for _, r := range fed.records {
			if _, err := m.Apply(r); err != nil {
				t.Fatal(err)
			}
		}
		decision, err := m.Apply(Record{Offset: m.Next(), Key: key, Value: value})
		if err != nil {
			return // newer rules
		}
		if decision.Result >= results || (decision.Result == Applied) != (decision.Err() == nil) {
			t.Fatalf("%+v", decision)
		}
		if _, err := Parse("after.json", []byte(document(m.Snapshot()))); err != nil {
			t.Fatalf("%s leads to a bad catalog: %v", value, err)
		}
	})
}
