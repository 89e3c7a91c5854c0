package bus

import (
	"cmp"
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/segmentio/kafka-go"
)

// balance distributes partitions 0 to partitions-1 among members, so that no two members differ by more than one. A
// partition goes to the member that holds its newest state, as long as that keeps the balance, else to another that
// holds an older one, else to whoever has the least. The result depends on nothing but the arguments.
//
// held says for each member the partitions whose state it holds, and the offset up to which the state goes.
func balance(partitions int, held map[string]map[int]int64) map[string][]int {
	b := balancing{
		owner:   make(map[int]string, partitions),
		load:    make(map[string]int, len(held)),
		members: slices.Sorted(maps.Keys(held)),
	}
	if len(b.members) == 0 {
		return map[string][]int{}
	}
	b.floor, b.extra = partitions/len(b.members), partitions%len(b.members)
	holders := rank(partitions, held)
	// First choices of all partitions come before any second choice: a stale copy must not displace a fresh one.
	for round, more := 0, true; more; round++ {
		more = false
		for _, p := range byOffset(holders, round) {
			more = true
			b.give(p, holders[p][round].member)
		}
	}
	for p := range partitions {
		if _, ok := b.owner[p]; !ok {
			b.give(p, b.idlest())
		}
	}
	out := make(map[string][]int, len(b.members))
	for _, m := range b.members {
		out[m] = []int{}
	}
	for p := range partitions {
		out[b.owner[p]] = append(out[b.owner[p]], p)
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

// byOffset lists the partitions that have a holder of this rank, those first that would cost most to restore.
func byOffset(holders map[int][]holder, rank int) []int {
	var ps []int
	for p, h := range holders {
		if rank < len(h) {
			ps = append(ps, p)
		}
	}
	slices.SortFunc(ps, func(x, y int) int {
		return cmp.Or(cmp.Compare(holders[y][rank].offset, holders[x][rank].offset), cmp.Compare(x, y))
	})
	return ps
}

type balancing struct {
	members []string
	owner   map[int]string
	load    map[string]int
	floor   int // every member gets as many
	extra   int // so many members may still get one more
}

// give assigns the partition to the member unless it has an owner or the member is full.
func (b *balancing) give(p int, member string) {
	if _, ok := b.owner[p]; ok || b.load[member] > b.floor {
		return
	}
	if b.load[member] == b.floor {
		if b.extra == 0 {
			return
		}
		b.extra--
	}
	b.owner[p] = member
	b.load[member]++
}

func (b *balancing) idlest() string {
	return slices.MinFunc(b.members, func(x, y string) int {
		return cmp.Or(cmp.Compare(b.load[x], b.load[y]), cmp.Compare(x, y))
	})
}

// balancerName is the group protocol. Members of one group must agree on it, so a change of balance that older
// members would decide otherwise needs another name.
const balancerName = "reckoner-sticky-1"

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
