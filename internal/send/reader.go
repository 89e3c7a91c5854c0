package send

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"
)

// recordBytesMax bounds one line, so that a file without line ends, or with an open quote, cannot fill the memory.
const recordBytesMax = 1 << 20

// A reader yields the lines of a file in order. A *LineError is about one line: the next call goes on after it. io.EOF
// is the end, and any other error is final.
type reader interface {
	next() (line, error)
}

// The formats.
const (
	CSV    = "csv"
	NDJSON = "ndjson"
)

func formatOf(path, format string) (string, error) {
	if format == "" {
		switch ext := strings.ToLower(filepath.Ext(path)); ext {
		case ".csv":
			return CSV, nil
		case ".ndjson", ".jsonl", ".json":
			return NDJSON, nil
		default:
			return "", fmt.Errorf("the extension %q tells no format: give csv or ndjson", ext)
		}
	}
	if format != CSV && format != NDJSON {
		return "", fmt.Errorf("unknown format %q: want csv or ndjson", format)
	}
	return format, nil
}

func newReader(r io.Reader, format string) (reader, error) {
	buffered := bufio.NewReaderSize(r, 64<<10)
	if mark, err := buffered.Peek(3); err == nil && string(mark) == "\uFEFF" {
		if _, err := buffered.Discard(3); err != nil {
			return nil, err
		}
	}
	if format == NDJSON {
		s := bufio.NewScanner(buffered)
		s.Buffer(make([]byte, 0, 64<<10), recordBytesMax)
		return &ndjsonReader{scanner: s}, nil
	}
	return newCSVReader(buffered)
}

type csvReader struct {
	csv     *csv.Reader
	bound   *boundedReader
	columns []string
	seq     int64
}

func newCSVReader(r io.Reader) (*csvReader, error) {
	bound := &boundedReader{r: r, left: recordBytesMax}
	c := csv.NewReader(bound)
	c.FieldsPerRecord = -1 // told in our own words, with the line
	header, err := c.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty: the first line names the columns")
	} else if err != nil {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	known := []string{"kind", "id", "account_id", "time", "amount", "usage_id", "type", "source", "subscription_id"}
	for i, name := range header {
		if !slices.Contains(known, name) {
			return nil, fmt.Errorf("line 1: unknown column %q: want some of %s", clip(name), strings.Join(known, ", "))
		}
		if slices.Contains(header[:i], name) {
			return nil, fmt.Errorf("line 1: column %q stands there twice", name)
		}
	}
	for _, name := range []string{"id", "account_id", "amount"} {
		if !slices.Contains(header, name) {
			return nil, fmt.Errorf("line 1: column %q is missing", name)
		}
	}
	c.ReuseRecord = true
	return &csvReader{csv: c, bound: bound, columns: slices.Clone(header)}, nil
}

func (r *csvReader) next() (line, error) {
	r.bound.left = recordBytesMax
	record, err := r.csv.Read()
	if broken, ok := errors.AsType[*csv.ParseError](err); ok {
		return line{}, &LineError{Line: broken.StartLine, Err: broken.Err}
	} else if err != nil {
		return line{}, err
	}
	number, _ := r.csv.FieldPos(0)
	if len(record) != len(r.columns) {
		return line{}, &LineError{Line: number, Err: fmt.Errorf("%d fields, where the first line names %d", len(record), len(r.columns))}
	}
	var f fields
	for i, name := range r.columns {
		f.set(name, record[i])
	}
	return finish(&f, number, &r.seq)
}

func (f *fields) set(column, value string) {
	switch column {
	case "kind":
		f.Kind = value
	case "id":
		f.ID = value
	case "account_id":
		f.AccountID = value
	case "time":
		f.Time = value
	case "amount":
		f.Amount = amountText(value)
	case "usage_id":
		f.UsageID = value
	case "type":
		f.Type = value
	case "source":
		f.Source = value
	case "subscription_id":
		f.Subscription = value
	}
}

type ndjsonReader struct {
	scanner *bufio.Scanner
	number  int
	seq     int64
}

func (r *ndjsonReader) next() (line, error) {
	for r.scanner.Scan() {
		r.number++
		text := bytes.TrimSpace(r.scanner.Bytes())
		if len(text) == 0 {
			continue
		}
		var f fields
		// As strict as the server: a key that is repeated, anywhere, must not be settled by its order.
		if err := json.Unmarshal(text, &f, json.RejectUnknownMembers(true)); err != nil {
			return line{}, &LineError{Line: r.number, Err: err}
		}
		return finish(&f, r.number, &r.seq)
	}
	if err := r.scanner.Err(); errors.Is(err, bufio.ErrTooLong) {
		return line{}, fmt.Errorf("line %d: longer than %d bytes", r.number+1, recordBytesMax)
	} else if err != nil {
		return line{}, err
	}
	return line{}, io.EOF
}

func finish(f *fields, number int, seq *int64) (line, error) {
	l, err := f.parse()
	if err != nil {
		return line{}, &LineError{Line: number, Err: err}
	}
	l.number, l.seq = number, *seq
	*seq++
	return l, nil
}

// boundedReader fails once more than left bytes were read since left was last set.
type boundedReader struct {
	r    io.Reader
	left int
}

func (b *boundedReader) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("a line is longer than %d bytes: is a quote left open?", recordBytesMax)
	}
	n, err := b.r.Read(p)
	b.left -= n
	return n, err
}
