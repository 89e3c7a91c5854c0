package send

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
)

// complaintsMax bounds the invalid lines that are told; the rest is counted.
const complaintsMax = 20

// content is what a first reading of the file found.
type content struct {
	sha256 string
	lines  int64 // those that carry an event
}

// scan reads the whole file before anything is sent: it names every invalid line, and what it counts makes the
// progress and the name of the progress file.
func scan(r io.Reader, format string) (content, error) {
	sum := sha256.New()
	lines, err := newReader(io.TeeReader(r, sum), format)
	if err != nil {
		return content{}, err
	}
	var (
		found content
		bad   []error
		more  int
	)
	for {
		_, err := lines.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if _, ok := errors.AsType[*LineError](err); ok {
			if len(bad) < complaintsMax {
				bad = append(bad, err)
			} else {
				more++
			}
			continue
		}
		if err != nil {
			return content{}, err
		}
		found.lines++
	}
	if more > 0 {
		bad = append(bad, fmt.Errorf("and %d more", more))
	}
	if len(bad) > 0 {
		return content{}, fmt.Errorf("nothing was sent, because the file has invalid lines:\n%w", errors.Join(bad...))
	}
	found.sha256 = hex.EncodeToString(sum.Sum(nil))
	return found, nil
}
