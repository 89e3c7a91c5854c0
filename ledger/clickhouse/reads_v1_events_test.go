package clickhouse

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"reckoner"
	"reckoner/ledger"
)

// storyRowsOf are the events that carry one id of one account, in two logs, and what belongs to them.
func storyRowsOf(account string) (ledger.Batch, []ledger.StoryEvent) {
	use := time.Date(2026, 5, 1, 10, 7, 0, 1, time.UTC)
	at := func(offset int64) reckoner.Position { return reckoner.Position{Log: 1, Partition: 3, Offset: offset} }
	limit := reckoner.Units(100)
	mine := func(e ledger.Entry, id string) ledger.Entry {
		e.AccountID, e.EventID = account, id
		return e
	}
	usage := mine(usageAt(10, reckoner.Thousandths(1500), use), "same")
	usage.Limit, usage.Metadata = &limit, []reckoner.Label{{Key: "k", Value: "v"}}
	taken := mine(revert(usage, at(14), false), "taker") // takes `same` back
	elsewhere := mine(usageAt(11, reckoner.Units(3), use), "other")
	own := mine(revert(elsewhere, at(13), true), "same") // carries the id, and takes `other` back
	refusal := func(p reckoner.Position, kind reckoner.Kind, o reckoner.Outcome, usageID string) ledger.Refusal {
		return ledger.Refusal{Position: p, AccountID: account, EventID: "same", Kind: kind, Outcome: o, Reason: o.String(), UsageID: usageID, ReceivedAt: use, UsageTime: use, Rules: 1}
	}
	again := refusal(at(12), reckoner.Usage, reckoner.Duplicate, "")
	unlike := refusal(at(15), reckoner.Revert, reckoner.Conflict, "nothing")
	astray := refusal(reckoner.Position{Log: 1, Partition: 9, Offset: 15}, 0, reckoner.Undecodable, "") // another partition, the same offset
	later := refusal(reckoner.Position{Log: 2, Partition: 1}, reckoner.Revert, reckoner.AlreadyReverted, "other")
	stranger := mine(usageAt(50, reckoner.Units(9), use), "same")
	stranger.AccountID = accounts[2]
	return ledger.Batch{
			Entries: []ledger.Entry{taken, stranger, own, elsewhere, usage}, Refusals: []ledger.Refusal{later, astray, unlike, again},
		}, []ledger.StoryEvent{
			{Entry: &usage, Revert: &taken}, {Refusal: &again}, {Entry: &own, Usage: &elsewhere}, {Refusal: &unlike}, {Refusal: &astray},
			{Refusal: &later, Usage: &elsewhere},
		}
}

func TestStoryOfAnID(t *testing.T) {
	l := openLedger(t)
	b, want := storyRowsOf(accounts[0])
	for range 2 { // rows that are written again are the same rows
		if err := l.Write(t.Context(), &b); err != nil {
			t.Fatal(err)
		}
	}
	for _, size := range []int{1, 2, 5, 100} {
		var got []ledger.StoryEvent
		q := ledger.StoryQuery{AccountID: accounts[0], EventID: "same", Limit: size}
		for {
			page, err := l.Story(t.Context(), q)
			if err != nil {
				t.Fatal(err)
			}
			if got = append(got, page...); len(page) < size {
				break
			}
			last := page[len(page)-1].Position()
			q.After = &last
		}
		if diff := cmp.Diff(want, got, compareRows); diff != "" {
			t.Fatalf("pages of %d (-want +got):\n%s", size, diff)
		}
	}
}

func TestDecidedIsWhereTheAccountsPartitionStands(t *testing.T) {
	l := openLedger(t)
	registered := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	account := accounts[0]
	own := int32(murmur2(account)&0x7fffffff) % 4
	for number, partitions := range map[uint32]int32{1: 16, 2: 4} {
		if err := l.RegisterLog(t.Context(), ledger.Log{Number: number, Topic: "usage.events", Partitions: partitions, RegisteredAt: registered}); err != nil {
			t.Fatal(err)
		}
	}
	if p, ok, err := l.Decided(t.Context(), account); ok || err != nil {
		t.Errorf("before anything: %s, %v", p, err)
	}
	b := &ledger.Batch{}
	for partition := range int32(16) {
		b.Checkpoints = append(b.Checkpoints, ledger.Checkpoint{Log: 1, Partition: partition, Next: 1000 + int64(partition)})
	}
	for partition := range int32(4) {
		b.Checkpoints = append(b.Checkpoints, ledger.Checkpoint{Log: 2, Partition: partition, Next: 10 + int64(partition)})
	}
	if err := l.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	p, ok, err := l.Decided(t.Context(), account)
	if want := (reckoner.Position{Log: 2, Partition: own, Offset: 10 + int64(own)}); err != nil || !ok || p != want {
		t.Errorf("%s, %t, %v, want %s", p, ok, err, want)
	}
}
