package catalog

import (
	"encoding/binary"

	"github.com/google/uuid"
)

// recentRecords is how far back a copy of a change is known as one. A writer sends again what was not acknowledged
// within seconds, and no more than some thousand changes are on their way at once. Behind it a copy is judged like any
// other change, and then its expectation fails.
const recentRecords = 1 << 16

// recent knows the changes of the last recentRecords records. Its memory is taken as it is needed.
type recent struct {
	ids  []uuid.UUID // by offset modulo recentRecords; zero: the record was no change
	last map[uuid.UUID]int64
}

// add notes the change of a record, and reports whether one of the records before it held the same.
func (r *recent) add(offset int64, id string, decodable bool) (copied bool) {
	var key uuid.UUID
	if decodable {
		key = uuid.MustParse(id) // it was decoded as one
		_, copied = r.last[key]
	}
	if r.last == nil {
		r.last = make(map[uuid.UUID]int64)
	}
	if at := int(offset % recentRecords); at < len(r.ids) {
		if old := r.ids[at]; r.last[old] == offset-recentRecords {
			delete(r.last, old)
		}
		r.ids[at] = key
	} else {
		r.ids = append(r.ids, key) // offsets begin at 0 and leave none out
	}
	if key != (uuid.UUID{}) {
		r.last[key] = offset
	}
	return copied
}

// digest is what the next records can find, in the order of the log.
func (r *recent) digest(next int64) []byte {
	var b []byte
	for offset := max(0, next-recentRecords); offset < next; offset++ {
		id := r.ids[offset%recentRecords]
		b = append(binary.BigEndian.AppendUint64(b, uint64(offset)), id[:]...)
	}
	return b
}
