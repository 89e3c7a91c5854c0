package catalog

import (
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// A snapshot *never* changes, whatever comes after it.
func TestSnapshotsStay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anyState(t)
		replay := NewMachine()
		type taken struct {
			c      *Catalog
			text   string
			digest [32]byte
		}
		var all []taken
		for _, r := range f.records {
			if _, err := replay.Apply(r); err != nil {
				t.Fatal(err)
			}
			if rapid.IntRange(0, 3).Draw(t, "snapshot") == 0 {
				c := replay.Snapshot()
				all = append(all, taken{c, document(c), c.Digest()})
			}
		}
		for i, s := range all {
			if document(s.c) != s.text || s.c.Digest() != s.digest {
				t.Fatalf("snapshot %d of %d changed", i, len(all))
			}
		}
		// Snapshots on the way change nothing either: the other machine took none.
		if replay.Digest() != f.machine.Digest() || replay.Snapshot().Digest() != f.machine.Snapshot().Digest() {
			t.Fatal("two readers of one log differ")
		}
	})
}

// The digest covers what decides: any change of state shows in it.
func TestTheDigestCoversTheState(t *testing.T) {
	f := grounded(t)
	other := grounded(t) // the same entities, and changes of other ids
	if f.machine.Digest() == other.machine.Digest() {
		t.Error("the digest is the same whatever copies would be known")
	}
	if f.machine.Snapshot().Digest() != other.machine.Snapshot().Digest() {
		t.Error("the digest of the entities is not")
	}
	cr := *f.machine.row(CredentialKind, "c1").entity.(*Credential)
	cr.SecretHash[0] = 1
	f.feed(t, Put(&cr, f.now(Ref{CredentialKind, "c1"}), ""))
	plan := other.machine.row(CredentialKind, "c1").entity
	other.feed(t, Put(plan, other.now(Ref{CredentialKind, "c1"}), ""))
	if f.machine.Snapshot().Digest() == other.machine.Snapshot().Digest() {
		t.Error("the digest does not cover secrets")
	}
}

// Requests read snapshots, and look for ways from them, while changes are applied. The race detector watches.
func TestReadersAreNotDisturbed(t *testing.T) {
	const accounts = 500
	m := NewMachine()
	accountLog(accounts, func(r Record) {
		if d, err := m.Apply(r); err != nil || d.Result != Applied {
			t.Fatal(err, d.Err())
		}
	})
	snapshots := make(chan *Catalog)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			for c := range snapshots {
				if err := readAll(c, accounts); err != nil {
					t.Error(err)
				}
			}
		})
	}
	empty := NewMachine().Snapshot()
	for i := range 200 {
		key := accountID(i * 7919 % accounts)
		a := *m.row(AccountKind, key).entity.(*Account)
		a.State = Disabled
		key2, value, err := (&Change{ID: fmt.Sprintf("6a0e0000-0000-4000-8000-%012d", i), Kind: AccountKind, Key: key,
			Expect: Version(m.row(AccountKind, key).made), Entity: &a}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if d, err := m.Apply(Record{Offset: m.Next(), Key: key2, Value: value}); err != nil || d.Result != Applied {
			t.Fatal(err, d.Err())
		}
		c := m.Snapshot()
		for range 2 { // to two readers at once
			snapshots <- c
		}
		if i%50 == 0 {
			if _, err := NewDiff(c, empty, DiffOptions{}); err != nil {
				t.Error(err)
			}
		}
	}
	close(snapshots)
	readers.Wait()
}

// readAll asks a snapshot for everything, and whether the answers are of one catalog.
func readAll(c *Catalog, accounts int) error {
	active, changed := 0, 0
	for e, v := range c.Entities(AccountKind, "") {
		a, ok := c.Account(e.Key())
		if !ok || a != e || v == 0 {
			return fmt.Errorf("account %s is not itself", e.Key())
		}
		if s, ok := c.Subscription(a.DefaultSubscription); !ok || s.AccountID != a.ID {
			return fmt.Errorf("account %s has no subscription", a.ID)
		}
		if a.State == Active {
			active++
		}
	}
	for range c.Changed(0) {
		changed++
	}
	if want := 2*accounts + 3; changed != want || c.Count(AccountKind) != accounts || active == accounts {
		return fmt.Errorf("%d entities, want %d; %d of %d accounts are active", changed, want, active, accounts)
	}
	if a, ok := c.NewestActiveAccount("6f0d0000-0000-4000-8000-000000000001"); !ok || a.State != Active {
		return fmt.Errorf("newest active account: %+v", a)
	}
	d, err := NewDiff(c, c, DiffOptions{Prune: true}) // forks it, at the same time as others do
	if err != nil || !d.Empty() {
		return fmt.Errorf("a catalog differs from itself: %w", err)
	}
	return nil
}
