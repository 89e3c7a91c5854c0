package ledger

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Loss is what was given up of a partition when the next log was registered: records that were never counted and that
// nobody can count any more. An operator accepted it, and it stays on record.
type Loss struct {
	Log       uint32 // the log that lost it: the one before the log that was registered
	Partition int32
	From      int64 // the first offset that was not counted
	To        int64 // the offset before which the lost records end; UnknownLoss: nobody can tell
	// Records is how many offsets from From to before To have no row. The others were written when the log was lost,
	// and count. UnknownLoss when To is.
	Records    int64
	Cause      LossCause
	AcceptedAt time.Time // when the next log was registered
}

// UnknownLoss takes the place of a number that nobody can tell: a log that ends before what was counted of it does not
// show what it held beyond.
const UnknownLoss int64 = -1

// LossCause is how a log lost records. It is kept in the ledger and never renamed.
type LossCause string

// The causes.
const (
	LostTruncated LossCause = "truncated" // deleted between the checkpoint and the log's begin
	LostGap       LossCause = "gap"       // offsets behind the checkpoint that the log does not have
	LostShortened LossCause = "shortened" // the log ends before the checkpoint
	LostReplaced  LossCause = "replaced"  // another record stands before the checkpoint than the one that was counted
	LostPartition LossCause = "gone"      // the topic has no such partition any more
	LostRecreated LossCause = "recreated" // the whole topic was created anew
)

// String says what was lost.
func (l Loss) String() string {
	if l.Records == UnknownLoss {
		return fmt.Sprintf("log %d, partition %d: records from offset %d on were lost, if it held any; nobody can tell how many (%s)", l.Log, l.Partition, l.From, l.Cause)
	}
	noun := "records"
	if l.Records == 1 {
		noun = "record"
	}
	text := fmt.Sprintf("log %d, partition %d: %d %s of the offsets %d to %d lost (%s)", l.Log, l.Partition, l.Records, noun, l.From, l.To-1, l.Cause)
	if rest := l.To - l.From - l.Records; rest > 0 {
		text += fmt.Sprintf("; the ledger has the other %d", rest)
	}
	return text
}

// Accepted says how many records of each partition an operator gives up at most.
type Accepted map[int32]int64

// Covers reports whether a loss was accepted. A number is an upper bound; what nobody can tell has to be accepted as
// such.
func (a Accepted) Covers(l Loss) bool {
	most, ok := a[l.Partition]
	if l.Records == UnknownLoss || most == UnknownLoss {
		return ok && most == l.Records
	}
	return l.Records <= most
}

const unknown = "unknown"

// String is what ParseAccepted reads: PARTITION:RECORDS, separated by commas.
func (a Accepted) String() string {
	var all []string
	for _, p := range slices.Sorted(maps.Keys(a)) {
		n := unknown
		if a[p] != UnknownLoss {
			n = strconv.FormatInt(a[p], 10)
		}
		all = append(all, fmt.Sprintf("%d:%s", p, n))
	}
	return strings.Join(all, ",")
}

// Command is the command that goes on without what is accepted.
func (a Accepted) Command() string { return "reckoner migrate --new-log --accept-loss " + a.String() }

// AcceptLoss names the command that goes on without the lost records of one partition.
func AcceptLoss(partition int32, records int64) string {
	return "`" + Accepted{partition: records}.Command() + "`"
}

// ParseAccepted reads what String writes.
func ParseAccepted(text string) (Accepted, error) {
	a := make(Accepted)
	if text == "" {
		return a, nil
	}
	for one := range strings.SplitSeq(text, ",") {
		partition, records, _ := strings.Cut(strings.TrimSpace(one), ":")
		number, err := strconv.ParseInt(partition, 10, 32)
		n := UnknownLoss
		if records != unknown {
			var counted uint64
			var wrong error
			counted, wrong = strconv.ParseUint(records, 10, 63)
			n, err = int64(counted), errors.Join(err, wrong)
		}
		if err != nil || number < 0 {
			return nil, fmt.Errorf("%q is not PARTITION:RECORDS, such as 2:1000, or 2:%s where nobody can tell", one, unknown)
		}
		if _, twice := a[int32(number)]; twice {
			return nil, fmt.Errorf("partition %d is named twice", number)
		}
		a[int32(number)] = n
	}
	return a, nil
}
