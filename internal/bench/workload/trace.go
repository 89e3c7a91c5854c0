package workload

import (
	"encoding/csv"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"reckoner"
)

// Trace is a file of real usage: what `reckoner send` takes as CSV, with the columns kind, id, account_id, time, amount
// and usage_id. It is read whole.
type Trace struct {
	streams [][]traceLine
	// Lines is how many events it holds that the API takes, Refused how many others: of no amount.
	Lines, Refused int
}

type traceLine struct {
	account, id, usageID string
	used                 time.Time
	amount               int64
	revert               bool
}

// traceColumns are the columns that a trace has to have.
var traceColumns = []string{"kind", "id", "account_id", "time", "amount", "usage_id"}

// OpenTrace reads a trace for so many producers. Each account's lines go to one of them, in the file's order.
func OpenTrace(path string, producers int) (*Trace, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("trace: %w", err)
	}
	t, err := readTrace(f, producers)
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("trace %s: %w", path, err)
	}
	return t, nil
}

func readTrace(r io.Reader, producers int) (*Trace, error) {
	c := csv.NewReader(r)
	header, err := c.Read()
	if err != nil {
		return nil, fmt.Errorf("line 1: %w", err)
	}
	at := make(map[string]int, len(traceColumns))
	for _, name := range traceColumns {
		if at[name] = slices.Index(header, name); at[name] < 0 {
			return nil, fmt.Errorf("line 1: column %q is missing: want %s", name, strings.Join(traceColumns, ","))
		}
	}
	t := &Trace{streams: make([][]traceLine, producers)}
	for {
		record, err := c.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		field := func(name string) string { return record[at[name]] }
		l, err := parseTraceLine(field)
		if err != nil {
			line, _ := c.FieldPos(0)
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if l.amount == 0 && !l.revert {
			t.Refused++
			continue
		}
		h := fnv.New32a()
		_, _ = h.Write([]byte(l.account)) // a hash never fails
		to := int(h.Sum32() % uint32(producers))
		t.streams[to] = append(t.streams[to], l)
		t.Lines++
	}
	if t.Lines == 0 {
		return nil, errors.New("it holds no events")
	}
	return t, nil
}

func parseTraceLine(field func(string) string) (traceLine, error) {
	l := traceLine{account: strings.ToLower(field("account_id")), id: strings.ToLower(field("id")), usageID: strings.ToLower(field("usage_id"))}
	if !reckoner.IsUUID(l.account) || !reckoner.IsUUID(l.id) {
		return l, fmt.Errorf("account_id %q and id %q have to be UUIDs", l.account, l.id)
	}
	switch kind := field("kind"); kind {
	case "usage", "":
	case "revert":
		if l.revert = true; !reckoner.IsUUID(l.usageID) {
			return l, fmt.Errorf("usage_id %q has to be a UUID", l.usageID)
		}
	default:
		return l, fmt.Errorf("kind %q: want usage or revert", kind)
	}
	var err error
	if text := field("time"); text != "" {
		if l.used, err = time.Parse(time.RFC3339, text); err != nil {
			return l, fmt.Errorf("time: %w", err)
		}
	}
	if text := field("amount"); text != "" || !l.revert { // a revert of nothing is one of all
		if l.amount, err = strconv.ParseInt(text, 10, 64); err != nil || l.amount < 0 {
			return l, fmt.Errorf("amount %q: want a whole number", text)
		}
	}
	return l, nil
}

// Source returns the requests of one producer, with at most so many usages in each. Without reverts it passes over
// those.
func (t *Trace) Source(producer, batch int, reverts bool) Source {
	return &traceSource{lines: t.streams[producer], batch: batch, reverts: reverts}
}

type traceSource struct {
	lines   []traceLine
	batch   int
	reverts bool
	body    []byte
}

// Next implements Source. A request ends where another account, or a revert, begins.
func (s *traceSource) Next(r *Request) bool {
	for len(s.lines) > 0 && s.lines[0].revert && !s.reverts {
		s.lines = s.lines[1:]
	}
	if len(s.lines) == 0 {
		return false
	}
	first := &s.lines[0]
	if first.revert {
		s.lines = s.lines[1:]
		s.body = append(s.body[:0], `{"amount":`...)
		s.body = append(strconv.AppendInt(s.body, first.amount, 10), '}')
		*r = Request{
			Path: "/v1beta1/admin/organizations/" + Organization + "/billing/" + first.account + "/usage/" + first.usageID + "/revert",
			Key:  first.id, Body: s.body, Events: 1, Revert: true,
		}
		return true
	}
	s.body = append(s.body[:0], `{"usages":[`...)
	n := 0
	for ; n < min(s.batch, len(s.lines)); n++ {
		l := &s.lines[n]
		if l.revert || l.account != first.account {
			break
		}
		if n > 0 {
			s.body = append(s.body, ',')
		}
		s.body = append(append(s.body, `{"id":"`...), l.id...)
		s.body = strconv.AppendInt(append(s.body, `","source":"trace","amount":`...), l.amount, 10)
		if !l.used.IsZero() {
			s.body = l.used.AppendFormat(append(s.body, `,"created_at":"`...), time.RFC3339Nano)
			s.body = append(s.body, '"')
		}
		s.body = append(s.body, '}')
	}
	s.lines = s.lines[n:]
	s.body = append(s.body, "]}"...)
	*r = Request{
		Path: "/v1beta1/organizations/" + Organization + "/billing/" + first.account + "/usages",
		Body: s.body, Events: n,
	}
	return true
}
