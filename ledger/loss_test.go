package ledger

import (
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestParseAcceptedReadsWhatStringWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := Accepted(rapid.MapOf(rapid.Int32Min(0), rapid.Int64Min(UnknownLoss)).Draw(t, "accepted"))
		got, err := ParseAccepted(a.String())
		if err != nil || !maps.Equal(got, a) {
			t.Errorf("%q is read as %v, %v, want %v", a.String(), got, err, a)
		}
	})
}

func TestParseAcceptedRefuses(t *testing.T) {
	for _, text := range []string{"2", "2:", ":5", "-1:5", "2:-1", "2:5,", "2:5,2:6", "2:1e3", "a:5", "2:5:6", "2: 5", "99999999999:1", "2:99999999999999999999", "2:Unknown"} {
		if a, err := ParseAccepted(text); err == nil {
			t.Errorf("%q is read as %v", text, a)
		}
	}
}

// A number covers what is not more; what nobody can tell is covered by no number, and covers none.
func TestAcceptedCovers(t *testing.T) {
	a := Accepted{1: 10, 2: UnknownLoss, 3: 0}
	for _, tt := range []struct {
		partition int32
		records   int64
		want      bool
	}{
		{1, 9, true}, {1, 10, true}, {1, 11, false}, {1, UnknownLoss, false},
		{2, UnknownLoss, true}, {2, 1, false}, {3, 1, false}, {3, UnknownLoss, false},
		{0, 1, false}, {0, UnknownLoss, false},
	} {
		if got := a.Covers(Loss{Partition: tt.partition, Records: tt.records}); got != tt.want {
			t.Errorf("%d records of partition %d: %t, want %t", tt.records, tt.partition, got, tt.want)
		}
	}
}

func TestLossSaysWhatIsLost(t *testing.T) {
	for _, tt := range []struct {
		loss Loss
		want string
	}{
		{Loss{Log: 1, Partition: 2, From: 100, To: 1100, Records: 1000, Cause: LostTruncated}, "log 1, partition 2: 1000 records of the offsets 100 to 1099 lost (truncated)"},
		{Loss{Log: 1, Partition: 2, From: 100, To: 102, Records: 1, Cause: LostGap}, "log 1, partition 2: 1 record of the offsets 100 to 101 lost (gap); the ledger has the other 1"},
		{Loss{Log: 3, From: 7, To: UnknownLoss, Records: UnknownLoss, Cause: LostShortened}, "log 3, partition 0: records from offset 7 on were lost"},
	} {
		if got := tt.loss.String(); !strings.HasPrefix(got, tt.want) {
			t.Errorf("%q, want %q", got, tt.want)
		}
	}
}
