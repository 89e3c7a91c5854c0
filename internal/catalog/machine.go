package catalog

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"time"
)

// Record is one record of the topic `catalog`.
type Record struct {
	Offset     int64
	Key, Value []byte
	Time       time.Time // when it was written, for people
}

// Machine is the catalog as of a position of the topic. It is a function of the records before that position and of nothing
// else: no clock, no setting, no order in which they arrived. So all who read the topic agree, whenever they began and in
// whatever batches they read. It is for one goroutine; its snapshots are for all.
type Machine struct {
	tables
	next   int64
	recent recent
}

// NewMachine returns the empty catalog, before the first record.
func NewMachine() *Machine { return &Machine{tables: newTables()} }

// Next is the offset of the record that Apply must get next.
func (m *Machine) Next() int64 { return m.next }

// Decoded is a record that was read and is not decided yet.
type Decoded struct {
	offset int64
	time   time.Time
	change Change
	faults []Fault // of the entity in itself
	err    error   // it is no change
}

// Decode reads a record. It depends on nothing else, so that many can be read at once.
func Decode(r Record) Decoded {
	d := Decoded{offset: r.Offset, time: r.Time}
	d.change, d.faults, d.err = decodeChange(r.Key, r.Value)
	return d
}

// Apply decodes a record and decides it.
func (m *Machine) Apply(r Record) (Decision, error) { return m.Decide(Decode(r)) }

// Decide decides the next record. An error says that it cannot go on, and that nothing was changed: the record is not the
// next one, or it names rules that this program does not know (*RulesError).
func (m *Machine) Decide(r Decoded) (Decision, error) {
	if r.offset != m.next {
		return Decision{}, fmt.Errorf("the catalog was read up to offset %d and goes on at %d: the topic must be neither compacted nor written in transactions, and keep all that was ever written",
			m.next, r.offset)
	}
	ch, faults, err := r.change, r.faults, r.err
	if unknown, ok := errors.AsType[*RulesError](err); ok {
		unknown.Offset = r.offset
		return Decision{}, unknown
	}
	m.next++
	d := Decision{Change: ch.ID, Ref: ch.Ref()}
	switch copied := m.recent.add(r.offset, ch.ID, err == nil); {
	case err != nil:
		d.Change, d.Result = "", Undecodable
		d.Faults = []Fault{{Result: Undecodable, Message: err.Error()}}
		return d, nil
	case copied:
		d.Result = Copy
		d.Faults = []Fault{{Result: Copy, Message: "the same change stands in the log before"}}
		return d, nil
	}
	if len(faults) == 0 {
		faults = m.judge(&ch)
	}
	if len(faults) > 0 {
		d.Result, d.Faults = faults[0].Result, faults
		return d, nil
	}
	d.Version = Version(r.offset) + 1
	m.carryOut(&ch, d.Version, r.time)
	return d, nil
}

// carryOut makes a change that nothing is wrong with.
func (m *Machine) carryOut(ch *Change, v Version, written time.Time) {
	var at int64
	if !written.IsZero() {
		at = written.UnixMilli()
	}
	if ch.Entity == nil {
		m.remove(ch.Ref(), uint64(v), at)
		return
	}
	m.intern(ch.Entity)
	m.put(&row{entity: ch.Entity, made: uint64(v), at: at})
}

// Snapshot returns the catalog as it is now. It costs the same whatever the catalog holds.
func (m *Machine) Snapshot() *Catalog {
	return &Catalog{tables: m.copy(), position: Version(m.next)}
}

// Digest is a digest of everything that a later decision can depend on: two readers of one log have the same one at the
// same position.
func (m *Machine) Digest() [sha256.Size]byte {
	h := sha256.New()
	m.digest(h)
	_, _ = h.Write(m.recent.digest(m.next))
	return [sha256.Size]byte(h.Sum(nil))
}

// Digest is a digest of all entities, the hashes of credentials included, of their versions, and of the position.
func (c *Catalog) Digest() [sha256.Size]byte {
	h := sha256.New()
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, uint64(c.position)))
	c.digest(h)
	return [sha256.Size]byte(h.Sum(nil))
}

func (t *tables) digest(h hash.Hash) {
	var b []byte
	add := func(key string, r *row) bool {
		b = binary.BigEndian.AppendUint64(b[:0], uint64(len(key)))
		b = append(b, key...)
		b = binary.BigEndian.AppendUint64(b, r.made)
		b = binary.BigEndian.AppendUint64(b, uint64(r.at))
		b = append(appendEntity(b, r.entity, true), 0)
		_, _ = h.Write(b)
		return true
	}
	for _, rows := range t.rows {
		rows.Scan(add)
	}
	t.deleted.Scan(add)
}
