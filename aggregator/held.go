package aggregator

import (
	"fmt"
	"path/filepath"
)

// Held returns the partitions whose state this process holds, each with the offset up to which it goes, so that the
// group can leave a partition where its state is. It is bus.GroupOptions.Held.
func (a *Aggregator) Held() map[int]int64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	held := make(map[int]int64, len(a.onDisk)+len(a.open))
	for number, next := range a.onDisk {
		held[int(number)] = next
	}
	for number, p := range a.open {
		held[int(number)] = p.settledNext()
	}
	return held
}

// find reads the checkpoints of the states that an earlier process left in the directory. What cannot be read is not
// held; opening it says why.
func (s *starter) find() map[int32]int64 {
	found := make(map[int32]int64)
	names, err := s.options.files().List(filepath.Dir(s.path(0)))
	if err != nil {
		return found // there is none yet
	}
	for _, name := range names {
		var number int32
		if n, err := fmt.Sscanf(name, partitionDir, &number); n != 1 || err != nil || name != fmt.Sprintf(partitionDir, number) {
			continue
		}
		st, err := openStore(s.path(number), s.log, number, s.options)
		if err != nil {
			continue
		}
		found[number] = st.checkpoint.Next
		if err := st.close(); err != nil {
			s.slog.Warn("close local state", "partition", number, "error", err)
		}
	}
	return found
}
