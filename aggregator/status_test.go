package aggregator

import (
	"errors"
	"testing"
	"time"

	"reckoner/ledger"
)

// clocked is a status whose clock stands until it is moved.
type clocked struct {
	*status
	a   *Aggregator
	at  time.Time
	t   *testing.T
	err error
}

func newClocked(t *testing.T) *clocked {
	c := &clocked{status: newStatus(testMetrics()), t: t, at: day(), err: errors.New("not now")}
	c.now = func() time.Time { return c.at }
	c.a = &Aggregator{status: c.status}
	return c
}

// generation is one of so long in which the log has a record more than the partition, which goes on from 5.
func (c *clocked) generation(took time.Duration) {
	c.begin([]int32{testPartition})
	c.at = c.at.Add(took)
	c.opened(testPartition, 5)
	c.seen(testPartition, 6)
	c.end()
}

// still is how long the partition has stood still, in a generation that begins now.
func (c *clocked) still() time.Duration {
	c.t.Helper()
	c.begin([]int32{testPartition})
	all, assigned := c.a.Status()
	if len(all) != 1 || !assigned || all[0].Open {
		c.t.Fatalf("assigned %v, %+v", assigned, all)
	}
	return c.at.Sub(all[0].Moved)
}

// A neighbour that comes and goes begins one generation after the other. That is no progress of the partitions that stay.
func TestGenerationsAreNoProgress(t *testing.T) {
	c := newClocked(t)
	c.generation(10 * time.Second) // the first opens the state, which is progress
	for range 5 {
		c.at = c.at.Add(time.Minute) // between two generations nobody owns it
		c.generation(10 * time.Second)
	}
	if got := c.still(); got != 50*time.Second {
		t.Errorf("stands still for %s, want 50 s", got)
	}
	if got, _ := c.a.Status(); got[0].Lag() != 1 {
		t.Errorf("%+v", got)
	}
}

func TestWhatIsProgress(t *testing.T) {
	for _, c := range []struct {
		name  string
		do    func(c *clocked)
		still time.Duration
		err   bool
	}{
		{"nothing", func(*clocked) {}, 50 * time.Second, false},
		{"a failure", func(c *clocked) { c.fail(testPartition, c.err) }, 50 * time.Second, true},
		{"opening it where it was", func(c *clocked) { c.opened(testPartition, 5) }, 50 * time.Second, false},
		{"opening it where another process took it", func(c *clocked) { c.opened(testPartition, 6) }, 20 * time.Second, false},
		{"a flush", func(c *clocked) { c.settled(ledger.Checkpoint{Partition: testPartition, Next: 6}) }, 20 * time.Second, false},
		{"nothing left to do", func(c *clocked) { c.seen(testPartition, 5) }, 20 * time.Second, false},
		{"restored rows", func(c *clocked) { c.restoring(testPartition) }, 20 * time.Second, false},
		{"restored rows after a failure that may pass", func(c *clocked) { c.fail(testPartition, c.err); c.restoring(testPartition) }, 20 * time.Second, true},
		{"rows of a ledger that must be mended", func(c *clocked) { c.fail(testPartition, ErrLedgerMismatch); c.restoring(testPartition) }, 50 * time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newClocked(t)
			s.generation(0)
			s.begin([]int32{testPartition})
			s.at = s.at.Add(30 * time.Second)
			s.opened(testPartition, 5)
			c.do(s)
			s.at = s.at.Add(20 * time.Second)
			s.end()
			if got := s.still(); got != c.still {
				t.Errorf("stands still for %s, want %s", got, c.still)
			}
			if all, _ := s.a.Status(); (all[0].Err != nil) != c.err {
				t.Errorf("%+v", all[0])
			}
		})
	}
}

// A partition that was elsewhere meanwhile begins anew.
func TestPartitionThatComesBackBeginsAnew(t *testing.T) {
	c := newClocked(t)
	c.generation(0)
	c.generation(time.Minute)
	c.begin(nil)
	c.end()
	if got := c.still(); got != 0 {
		t.Errorf("stands still for %s", got)
	}
}

func TestOutside(t *testing.T) {
	c := newClocked(t)
	c.begin(nil) // more processes than partitions
	c.a.NotJoined(c.err)
	if o := c.a.Outside(); o != nil {
		t.Errorf("a member without partitions is outside: %+v", o)
	}
	c.at = c.at.Add(time.Minute)
	c.end()
	since := c.at
	c.at = c.at.Add(time.Minute)
	if o := c.a.Outside(); o == nil || !o.Since.Equal(since) || o.Err != nil {
		t.Errorf("%+v", o)
	}
	c.a.NotJoined(c.err)
	if o := c.a.Outside(); o == nil || !o.Since.Equal(since) || !errors.Is(o.Err, c.err) {
		t.Errorf("%+v", o)
	}
	c.begin([]int32{testPartition})
	c.end()
	if o := c.a.Outside(); o == nil || o.Err != nil || !o.Since.Equal(c.at) {
		t.Errorf("the failures before a generation are remembered after it: %+v", o)
	}
}
