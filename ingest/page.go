package ingest

import (
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"reckoner"
	"reckoner/ledger"
)

// pageTokenBytes are a version, the time, and the four parts of a position.
const pageTokenBytes = 1 + 8 + 4 + 4 + 8 + 4

// pageToken is the place after which the next page begins. It holds across any change of the ledger: what came before it
// is never shown again, whatever was added meanwhile.
func pageToken(c ledger.TransactionCursor) string {
	b := append(make([]byte, 0, pageTokenBytes), 1)
	b = binary.BigEndian.AppendUint64(b, uint64(c.UsageTime.UnixNano()))
	b = binary.BigEndian.AppendUint32(b, c.Position.Log)
	b = binary.BigEndian.AppendUint32(b, uint32(c.Position.Partition))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Position.Offset))
	b = binary.BigEndian.AppendUint32(b, uint32(c.Position.Index))
	return base64.RawURLEncoding.EncodeToString(b)
}

func parsePageToken(s string) (ledger.TransactionCursor, bool) {
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil || len(b) != pageTokenBytes || b[0] != 1 {
		return ledger.TransactionCursor{}, false
	}
	c := ledger.TransactionCursor{
		UsageTime: time.Unix(0, int64(binary.BigEndian.Uint64(b[1:]))).UTC(),
		Position: reckoner.Position{
			Log: binary.BigEndian.Uint32(b[9:]), Partition: int32(binary.BigEndian.Uint32(b[13:])),
			Offset: int64(binary.BigEndian.Uint64(b[17:])), Index: int32(binary.BigEndian.Uint32(b[25:])),
		},
	}
	return c, reckoner.StorableTime(c.UsageTime)
}

// metadataJSON is the object that the labels were made of: what was not a string goes out digit for digit.
func metadataJSON(labels []reckoner.Label) []byte {
	b := []byte{'{'}
	for i, l := range labels {
		if i > 0 {
			b = append(b, ',')
		}
		b, _ = jsontext.AppendQuote(b, l.Key) // what is not UTF-8 is replaced
		b = append(b, ':')
		if l.JSON && jsontext.Value(l.Value).IsValid() {
			b = append(b, l.Value...)
			continue
		}
		b, _ = jsontext.AppendQuote(b, l.Value)
	}
	return append(b, '}')
}
