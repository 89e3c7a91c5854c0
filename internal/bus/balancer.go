package bus

import (
	"cmp"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/segmentio/kafka-go"
)

// balance distributes partitions 0 to partitions-1 among members, so that no two members differ by more than one. Within
// that, as many partitions as can be go to members that hold a state of theirs, however old: catching up costs less than
// restoring. A partition goes to the member with its newest state unless another partition would then have to be
// restored. The result depends on nothing but the arguments.
//
// held says for each member the partitions whose state it holds, and the offset up to which the state goes.
func balance(partitions int, held map[string]map[int]int64) map[string][]int {
	b := balancing{
		members: slices.Sorted(maps.Keys(held)),
		holders: rank(partitions, held),
		owner:   make(map[int]string, partitions),
		owned:   make(map[string][]int, len(held)),
	}
	if len(b.members) == 0 {
		return map[string][]int{}
	}
	b.floor, b.extra = partitions/len(b.members), partitions%len(b.members)
	// First choices of all partitions come first: a stale copy must not displace a fresh one.
	order := b.byOffset()
	for _, p := range order {
		if newest := b.holders[p][0].member; b.room(newest) {
			b.place(p, newest)
		}
	}
	for _, p := range order {
		if _, ok := b.owner[p]; !ok {
			b.seat(p, "", make(map[string]bool))
		}
	}
	for p := range partitions {
		if _, ok := b.owner[p]; !ok {
			b.place(p, b.idlest())
		}
	}
	out := make(map[string][]int, len(b.members))
	for _, m := range b.members {
		out[m] = slices.Sorted(slices.Values(b.owned[m]))
		if out[m] == nil {
			out[m] = []int{}
		}
	}
	return out
}

type holder struct {
	member string
	offset int64
}

// rank lists the holders of each partition, the newest state first.
func rank(partitions int, held map[string]map[int]int64) map[int][]holder {
	holders := make(map[int][]holder)
	for member, states := range held {
		for p, offset := range states {
			if p >= 0 && p < partitions {
				holders[p] = append(holders[p], holder{member, offset})
			}
		}
	}
	for _, h := range holders {
		slices.SortFunc(h, func(x, y holder) int {
			return cmp.Or(cmp.Compare(y.offset, x.offset), cmp.Compare(x.member, y.member))
		})
	}
	return holders
}

type balancing struct {
	members []string
	holders map[int][]holder // of each partition that has any
	owner   map[int]string
	owned   map[string][]int // the same, by member
	floor   int              // every member gets as many
	extra   int              // so many members may still get one more
}

// byOffset lists the partitions that have a holder, those first that would cost most to restore.
func (b *balancing) byOffset() []int {
	return slices.SortedFunc(maps.Keys(b.holders), func(x, y int) int {
		return cmp.Or(cmp.Compare(b.holders[y][0].offset, b.holders[x][0].offset), cmp.Compare(x, y))
	})
}

func (b *balancing) room(member string) bool {
	n := len(b.owned[member])
	return n < b.floor || n == b.floor && b.extra > 0
}

func (b *balancing) place(p int, member string) {
	if len(b.owned[member]) >= b.floor {
		b.extra--
	}
	b.owner[p] = member
	b.owned[member] = append(b.owned[member], p)
}

// drop takes a partition away from a member.
func (b *balancing) drop(p int, member string) {
	if len(b.owned[member]) > b.floor {
		b.extra++
	}
	b.owned[member] = slices.DeleteFunc(b.owned[member], func(q int) bool { return q == p })
}

// seat gives a partition to a member that holds its state, not to that one, and for that moves other partitions to
// others that hold theirs: an augmenting path of a bipartite matching (Kuhn), so that in the end as many as can be have a
// state. Members that were tried led nowhere.
func (b *balancing) seat(p int, but string, tried map[string]bool) bool {
	for _, h := range b.holders[p] {
		if h.member != but && b.room(h.member) {
			b.place(p, h.member)
			return true
		}
	}
	for _, h := range b.holders[p] {
		if h.member != but && !tried[h.member] && b.free(h.member, tried) {
			b.place(p, h.member)
			return true
		}
	}
	return false
}

// free makes room with a full member: one of its partitions moves, or a third gives up that it has one more than others.
func (b *balancing) free(member string, tried map[string]bool) bool {
	tried[member] = true
	if b.shed(member, tried) {
		return true
	}
	if len(b.owned[member]) > b.floor {
		return false
	}
	for _, m := range b.members {
		if len(b.owned[m]) > b.floor && !tried[m] {
			if tried[m] = true; b.shed(m, tried) {
				return true
			}
		}
	}
	return false
}

// shed moves one partition of a member to another that holds its state. It counts with the member until it has moved.
func (b *balancing) shed(member string, tried map[string]bool) bool {
	for _, q := range slices.Clone(b.owned[member]) {
		if b.seat(q, member, tried) {
			b.drop(q, member)
			return true
		}
	}
	return false
}

func (b *balancing) idlest() string {
	return slices.MinFunc(b.members, func(x, y string) int {
		return cmp.Or(cmp.Compare(len(b.owned[x]), len(b.owned[y])), cmp.Compare(x, y))
	})
}

// balancerName is the group protocol. Members of one group must agree on it, so a change of balance that older
// members would decide otherwise needs another name.
const balancerName = "reckoner-sticky-2"

// sticky is balance as the client's GroupBalancer.
type sticky struct{ held func() map[int]int64 }

func (s sticky) ProtocolName() string { return balancerName }

func (s sticky) UserData() ([]byte, error) { return encodeHeld(s.held()), nil }

func (s sticky) AssignGroups(members []kafka.GroupMember, partitions []kafka.Partition) kafka.GroupMemberAssignments {
	out := make(kafka.GroupMemberAssignments, len(members))
	held := make(map[string]map[string]map[int]int64) // topic → member → states
	for _, m := range members {
		out[m.ID] = make(map[string][]int)
		for _, topic := range m.Topics {
			if held[topic] == nil {
				held[topic] = make(map[string]map[int]int64)
			}
			// A member whose data cannot be read is one that holds nothing: it may still work.
			states, err := decodeHeld(m.UserData)
			if err != nil {
				states = nil
			}
			held[topic][m.ID] = states
		}
	}
	count := make(map[string]int)
	for _, p := range partitions {
		count[p.Topic] = max(count[p.Topic], p.ID+1)
	}
	for topic, states := range held {
		for member, ps := range balance(count[topic], states) {
			out[member][topic] = ps
		}
	}
	return out
}

// heldVersion begins a member's data; data of another version counts as none.
const heldVersion = 1

var errHeld = errors.New("the group member's data is malformed")

// encodeHeld writes a version byte and, for each partition in order, its number and offset as varints.
func encodeHeld(held map[int]int64) []byte {
	b := []byte{heldVersion}
	for _, p := range slices.Sorted(maps.Keys(held)) {
		if p >= 0 && held[p] >= 0 {
			b = binary.AppendUvarint(b, uint64(p))
			b = binary.AppendUvarint(b, uint64(held[p]))
		}
	}
	return b
}

func decodeHeld(b []byte) (map[int]int64, error) {
	if len(b) == 0 || b[0] != heldVersion {
		return nil, errHeld
	}
	held := make(map[int]int64)
	for b = b[1:]; len(b) > 0; {
		p, n := binary.Uvarint(b)
		if n <= 0 || p > 1<<31-1 {
			return nil, errHeld
		}
		offset, m := binary.Uvarint(b[n:])
		if m <= 0 || offset > 1<<63-1 {
			return nil, errHeld
		}
		held[int(p)] = int64(offset)
		b = b[n+m:]
	}
	return held, nil
}
