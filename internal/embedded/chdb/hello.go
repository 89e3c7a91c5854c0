package chdb

import (
	"encoding/binary"
	"strconv"
	"strings"
)

// helloQuery is what clickhouse-go asks before anything else over HTTP.
const helloQuery = "SELECT displayName(), version(), revision(), timezone()"

// customSerialization is the protocol revision from which a column of a block
// says whether it is serialized specially (DBMS_MIN_REVISION_WITH_CUSTOM_SERIALIZATION).
const customSerialization = 54454

// isHello reports whether the query is that of a client which announced its
// protocol revision. It is answered here, in the form of the client's revision
// and with revision 0, because the engine writes only the plain form of Native:
// told 0, the client reads and writes that form from then on.
func isHello(in *input, q *request) (revision int, hello bool) {
	if q.revision == "" || !strings.EqualFold(q.format, "Native") || in.format != "" {
		return 0, false
	}
	if strings.Join(strings.Fields(in.text), " ") != helloQuery {
		return 0, false
	}
	revision, err := strconv.Atoi(q.revision)
	return revision, err == nil && revision > 0
}

// helloBlock is the answer as one Native block of the given protocol revision.
func (a about) helloBlock(revision int) []byte {
	b := []byte{1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0} // block info: no overflow row, bucket -1
	b = append(b, 4, 1)                             // columns, rows
	column := func(name, kind string) {
		b = appendText(appendText(b, name), kind)
		if revision >= customSerialization {
			b = append(b, 0)
		}
	}
	column("displayName()", "String")
	b = appendText(b, a.displayName)
	column("version()", "String")
	b = appendText(b, a.version)
	column("revision()", "UInt32")
	b = binary.LittleEndian.AppendUint32(b, 0)
	column("timezone()", "String")
	return appendText(b, a.timezone)
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}
