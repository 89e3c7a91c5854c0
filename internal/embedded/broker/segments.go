package broker

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// DamagedError says that a log on disk holds damage that no kill leaves behind: what comes after it, or a clean end of
// the last run, shows that these bytes were acknowledged once. kfake would cut the log there, with a warning only.
type DamagedError struct {
	File   string // the segment
	At     int64  // the first byte of it that is not a readable batch
	Offset int64  // the first offset that cannot be read
	Dir    string // the data directory
	Why    string // what shows that this is no torn end
}

// Error names the file, the place, what would be lost, and the remedy.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("the log segment %s is damaged at byte %d, from offset %d on: %s; put a good copy of the file in its place, "+
		"or give this log up (the ledger keeps what was counted, the rest is lost): move %s away, run `reckoner engines` and, beside it, "+
		"`reckoner migrate` and then `reckoner migrate --new-log --recreated`", e.File, e.At, e.Offset, e.Why, e.Dir)
}

// checkLogs reads every log in the data directory as kfake is about to, and changes nothing. A torn end is in order: the
// process was killed while it wrote a batch that it had not acknowledged, and kfake cuts it. Everything else that cannot
// be read is a *DamagedError.
func checkLogs(dir string) error {
	segments, err := filepath.Glob(filepath.Join(escapeGlob(dir), "log", "partitions", "*", "*.dat"))
	if err != nil {
		return err
	}
	logs := make(map[string][]int64)
	for _, path := range segments {
		base, err := strconv.ParseInt(strings.TrimSuffix(filepath.Base(path), ".dat"), 10, 64)
		if err != nil {
			continue // kfake passes over it too
		}
		logs[filepath.Dir(path)] = append(logs[filepath.Dir(path)], base)
	}
	var errs []error
	for partition, bases := range logs {
		slices.Sort(bases)
		err := checkLog(partition, bases)
		if damaged, ok := errors.AsType[*DamagedError](err); ok {
			damaged.Dir = dir
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// escapeGlob makes a path stand for itself in a pattern.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

// checkLog reads the segments of one partition, named by their first offsets.
func checkLog(partition string, bases []int64) error {
	sizes := make([]int64, len(bases))
	for i, base := range bases {
		info, err := os.Stat(segmentPath(partition, base))
		if err != nil {
			return fmt.Errorf("check the log: %w", err)
		}
		sizes[i] = info.Size()
	}
	clean := closedCleanly(partition, bases, sizes)
	next := int64(0)
	for i, base := range bases {
		s, err := readSegment(segmentPath(partition, base), sizes[i], max(base, next))
		if err != nil {
			return fmt.Errorf("check the log: %w", err)
		}
		next = s.next
		if s.end == sizes[i] {
			continue
		}
		more := slices.ContainsFunc(sizes[i+1:], func(size int64) bool { return size > 0 })
		if why := s.notTorn(clean, more); why != "" {
			return &DamagedError{File: segmentPath(partition, base), At: s.end, Offset: s.next, Why: why}
		}
	}
	return nil
}

func segmentPath(partition string, base int64) string {
	return filepath.Join(partition, strconv.FormatInt(base, 10)+".dat")
}

// closedCleanly reports whether the segments are as the last run left them when it ended in order: kfake then writes
// down how long each is, and nothing but another run makes one longer.
func closedCleanly(partition string, bases, sizes []int64) bool {
	text, err := os.ReadFile(filepath.Join(partition, "snapshot.json"))
	if err != nil {
		return false
	}
	var snapshot struct {
		Segments []struct {
			Base int64 `json:"base_offset"`
			Size int64 `json:"size"`
		} `json:"segments"`
	}
	if json.Unmarshal(text, &snapshot) != nil || len(snapshot.Segments) != len(bases) {
		return false
	}
	for i, s := range snapshot.Segments {
		if s.Base != bases[i] || s.Size != sizes[i] {
			return false
		}
	}
	return true
}

// Where things stand in a batch of records, Kafka's version 2. Its checksum covers all that follows it.
const (
	batchLengthAt  = 8  // of what follows the length
	batchMagicAt   = 16 // 2
	batchCRCAt     = 17
	batchBodyAt    = 21
	batchDeltaAt   = 23 // the last record's offset less the first's
	batchHeader    = 61
	batchLengthAdd = 12 // offset and length are not counted in the length
	batchBytesMax  = 1 << 30
)

// segment is what could be read of one file.
type segment struct {
	end  int64  // the byte after the last batch that is readable
	next int64  // the offset after it
	rest []byte // what follows; empty in a sound segment
}

// readSegment reads batches until the bytes end or one cannot be read; its offsets must not be below next.
func readSegment(path string, bytes, next int64) (*segment, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }()
	s := &segment{next: next}
	r := bufio.NewReaderSize(f, 1<<20)
	var batch []byte
	for {
		head, err := r.Peek(batchHeader)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		size, ok := batchSize(head, s.next)
		if !ok || int64(size) > bytes-s.end {
			break
		}
		batch = slices.Grow(batch[:0], size)[:size]
		if _, err := io.ReadFull(r, batch); err != nil {
			return nil, err
		}
		if !intact(batch) {
			s.rest = batch
			break
		}
		s.end += int64(size)
		s.next = lastOffset(batch) + 1
	}
	rest, err := io.ReadAll(r)
	s.rest = append(s.rest, rest...)
	return s, err
}

// batchSize returns how long the batch is that begins with head; ok is false when none can begin there.
func batchSize(head []byte, next int64) (size int, ok bool) {
	if len(head) < batchHeader || head[batchMagicAt] != 2 || int64(binary.BigEndian.Uint64(head)) < next {
		return 0, false
	}
	length := binary.BigEndian.Uint32(head[batchLengthAt:])
	return batchLengthAdd + int(length), length >= batchHeader-batchLengthAdd && length <= batchBytesMax
}

func intact(batch []byte) bool {
	sum := crc32.Checksum(batch[batchBodyAt:], crc32.MakeTable(crc32.Castagnoli))
	return sum == binary.BigEndian.Uint32(batch[batchCRCAt:])
}

func lastOffset(batch []byte) int64 {
	return int64(binary.BigEndian.Uint64(batch)) + int64(int32(binary.BigEndian.Uint32(batch[batchDeltaAt:])))
}

// notTorn says what shows that the unreadable rest is damage; empty: nothing does.
func (s *segment) notTorn(clean, more bool) string {
	switch {
	case more:
		return "another segment follows"
	case clean:
		return "the last run ended in order, when this was readable"
	}
	for at := range s.rest {
		// Offsets of any value: the damage may have hit those of an earlier batch, which no checksum covers.
		size, ok := batchSize(s.rest[at:], 0)
		if ok && size <= len(s.rest)-at && intact(s.rest[at:at+size]) {
			return fmt.Sprintf("a readable batch stands behind it, at byte %d", s.end+int64(at))
		}
	}
	return ""
}
