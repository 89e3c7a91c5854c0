package bus

import (
	"maps"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/segmentio/kafka-go"
	"pgregory.net/rapid"
)

func TestBalance(t *testing.T) {
	type held = map[string]map[int]int64
	for _, tc := range []struct {
		name       string
		partitions int
		held       held
		want       map[string][]int
	}{
		{"nobody", 4, held{}, map[string][]int{}},
		{"alone", 3, held{"a": nil}, map[string][]int{"a": {0, 1, 2}}},
		{"nothing held", 4, held{"a": nil, "b": nil}, map[string][]int{"a": {0, 2}, "b": {1, 3}}},
		{"all stay", 4, held{"a": {1: 5, 3: 5}, "b": {0: 9, 2: 9}}, map[string][]int{"a": {1, 3}, "b": {0, 2}}},
		{"odd one stays with its holder", 3, held{"a": nil, "b": {0: 1, 1: 1}}, map[string][]int{"a": {2}, "b": {0, 1}}},
		{"newcomer takes the cheapest", 4, held{"a": {0: 40, 1: 10, 2: 30, 3: 20}, "b": nil}, map[string][]int{"a": {0, 2}, "b": {1, 3}}},
		{"newest state wins", 2, held{"a": {0: 9, 1: 1}, "b": {0: 8, 1: 2}}, map[string][]int{"a": {0}, "b": {1}}},
		{"older state before none", 4, held{"a": {0: 9, 1: 9, 2: 9, 3: 9}, "b": {3: 1}, "c": nil}, map[string][]int{"a": {0, 1}, "b": {3}, "c": {2}}},
		{"stale copy does not displace", 2, held{"a": {0: 100, 1: 50}, "b": {0: 200}}, map[string][]int{"a": {1}, "b": {0}}},
		{"a stale copy moves before one is restored", 3, held{"a": {0: 90, 1: 80, 2: 70}, "b": {0: 60}, "c": nil}, map[string][]int{"a": {1}, "b": {0}, "c": {2}}},
		{"a chain of stale copies", 3, held{"a": {0: 90, 1: 80}, "b": {0: 50, 2: 40}, "c": {2: 30}}, map[string][]int{"a": {1}, "b": {0}, "c": {2}}},
		{"equal states", 2, held{"a": {0: 1, 1: 1}, "b": {0: 1, 1: 1}}, map[string][]int{"a": {0}, "b": {1}}},
		{"more members than partitions", 1, held{"a": nil, "b": {0: 7}, "c": nil}, map[string][]int{"a": {}, "b": {0}, "c": {}}},
		{"unknown partitions", 1, held{"a": {7: 7, -1: 1}}, map[string][]int{"a": {0}}},
		{"no partitions", 0, held{"a": {0: 1}}, map[string][]int{"a": {}}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, balance(tc.partitions, tc.held)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func drawHeld(t *rapid.T, partitions int) map[string]map[int]int64 {
	held := make(map[string]map[int]int64)
	for _, m := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,3}`), 1, 9, rapid.ID[string]).Draw(t, "members") {
		held[m] = rapid.MapOfN(rapid.IntRange(0, partitions), rapid.Int64Range(0, 5), 0, partitions).Draw(t, "held by "+m)
	}
	return held
}

func TestBalanceIsCompleteAndEven(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		partitions := rapid.IntRange(0, 40).Draw(t, "partitions")
		held := drawHeld(t, partitions)
		got := balance(partitions, held)
		if len(got) != len(held) {
			t.Fatalf("%d members got something, there are %d", len(got), len(held))
		}
		var all []int
		low, high := partitions, 0
		for _, ps := range got {
			all = append(all, ps...)
			low, high = min(low, len(ps)), max(high, len(ps))
		}
		slices.Sort(all)
		for i, p := range all {
			if i != p {
				t.Fatalf("partitions %v, each of 0 to %d once was wanted", all, partitions-1)
			}
		}
		if len(all) != partitions || high-low > 1 {
			t.Fatalf("%d of %d partitions, between %d and %d a member", len(all), partitions, low, high)
		}
		if again := balance(partitions, held); !reflect.DeepEqual(got, again) {
			t.Fatalf("not deterministic: %v, then %v", got, again)
		}
	})
}

// TestBalanceMovesOnlyWhenNeeded begins with any ownership, changes the members, and counts moves. A partition whose
// owner stays moves only when its owner has more than its share.
func TestBalanceMovesOnlyWhenNeeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		partitions := rapid.IntRange(1, 40).Draw(t, "partitions")
		held := make(map[string]map[int]int64)
		for _, m := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,3}`), 1, 9, rapid.ID[string]).Draw(t, "members") {
			held[m] = make(map[int]int64)
		}
		members := slices.Sorted(maps.Keys(held))
		for p := range partitions {
			if rapid.Bool().Draw(t, "owner is still there") {
				held[rapid.SampledFrom(members).Draw(t, "owner")][p] = rapid.Int64Range(0, 5).Draw(t, "offset")
			}
		}
		floor, extra := partitions/len(members), partitions%len(members)
		want := 0 // the most that can stay
		for _, states := range held {
			want += min(len(states), floor)
			if len(states) > floor && extra > 0 {
				want++
				extra--
			}
		}
		stayed := 0
		got := balance(partitions, held)
		for m, ps := range got {
			for _, p := range ps {
				if _, ok := held[m][p]; ok {
					stayed++
				}
			}
		}
		if stayed != want {
			t.Fatalf("%d partitions stayed, %d could: %v of %v", stayed, want, got, held)
		}
	})
}

// TestBalanceRestoresAsLittleAsPossible holds the number of partitions that go to a member with a state against that of
// every even assignment there is.
func TestBalanceRestoresAsLittleAsPossible(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		partitions := rapid.IntRange(1, 7).Draw(t, "partitions")
		held := make(map[string]map[int]int64)
		for _, m := range []string{"a", "b", "c", "d"}[:rapid.IntRange(1, 4).Draw(t, "members")] {
			held[m] = rapid.MapOfN(rapid.IntRange(0, partitions-1), rapid.Int64Range(0, 5), 0, partitions).Draw(t, "held by "+m)
		}
		got := 0
		for m, ps := range balance(partitions, held) {
			for _, p := range ps {
				if _, ok := held[m][p]; ok {
					got++
				}
			}
		}
		if want := mostHeld(held, slices.Sorted(maps.Keys(held)), partitions, 0, make(map[string]int)); got != want {
			t.Fatalf("%d partitions have a state, %d could", got, want)
		}
	})
}

// mostHeld tries every member for every partition from p on.
func mostHeld(held map[string]map[int]int64, members []string, partitions, p int, load map[string]int) int {
	if p == partitions {
		for _, m := range members {
			if n := load[m]; n < partitions/len(members) || n > (partitions+len(members)-1)/len(members) {
				return -1
			}
		}
		return 0
	}
	most := -1
	for _, m := range members {
		load[m]++
		if n := mostHeld(held, members, partitions, p+1, load); n >= 0 {
			if _, ok := held[m][p]; ok {
				n++
			}
			most = max(most, n)
		}
		load[m]--
	}
	return most
}

// TestBalanceIsStable gives everybody what they just got: nothing moves.
func TestBalanceIsStable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		partitions := rapid.IntRange(0, 40).Draw(t, "partitions")
		held := drawHeld(t, partitions)
		first := balance(partitions, held)
		for m, ps := range first {
			held[m] = maps.Clone(held[m]) // what it held before is still on its disk, and older
			for _, p := range ps {
				held[m][p] = 100
			}
		}
		if second := balance(partitions, held); !reflect.DeepEqual(first, second) {
			t.Fatalf("%v became %v", first, second)
		}
	})
}

func TestAssignGroups(t *testing.T) {
	members := []kafka.GroupMember{
		{ID: "a", Topics: []string{"x"}, UserData: encodeHeld(map[int]int64{1: 3})},
		{ID: "b", Topics: []string{"x", "y"}, UserData: []byte("of another version")},
		{ID: "c", Topics: []string{"y"}, UserData: nil},
	}
	partitions := []kafka.Partition{{Topic: "y", ID: 0}, {Topic: "x", ID: 1}, {Topic: "x", ID: 0}, {Topic: "y", ID: 1}}
	got := sticky{}.AssignGroups(members, partitions)
	want := kafka.GroupMemberAssignments{"a": {"x": {1}}, "b": {"x": {0}, "y": {0}}, "c": {"y": {1}}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestHeldRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		held := rapid.MapOf(rapid.IntRange(0, 1<<31-1), rapid.Int64Range(0, 1<<63-1)).Draw(t, "held")
		got, err := decodeHeld(encodeHeld(held))
		if err != nil || !maps.Equal(held, got) {
			t.Fatalf("%v became %v, %v", held, got, err)
		}
	})
	if got, err := decodeHeld(encodeHeld(map[int]int64{-1: 5, 2: -7})); err != nil || len(got) != 0 {
		t.Errorf("negative numbers became %v, %v", got, err)
	}
}

func FuzzDecodeHeld(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{heldVersion})
	f.Add(encodeHeld(map[int]int64{0: 0, 3: 1 << 40}))
	f.Add([]byte{heldVersion, 0x80})
	f.Add([]byte{2, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		held, err := decodeHeld(b)
		if err != nil {
			return
		}
		again, err := decodeHeld(encodeHeld(held))
		if err != nil || !maps.Equal(held, again) {
			t.Fatalf("%x: %v became %v, %v", b, held, again, err)
		}
	})
}
