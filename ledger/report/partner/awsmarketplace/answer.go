package awsmarketplace

import (
	"encoding/json"
	"strings"

	"reckoner/ledger"
	"reckoner/ledger/report/partner"
)

// result is what is known of a record.
type result byte

const (
	success     result = 'S' // AWS has it
	duplicate   result = 'D' // AWS has another quantity of that hour: somebody else's
	refusal     result = 'N' // AWS will not take it, and did not
	unprocessed result = 'U' // AWS did not take it, and may take it when it is sent again; or it was not sent
	unsure      result = '?' // it was sent, and no answer says what came of it
)

// results are what is known of the records of a report, in their order. Empty: they were never sent.
type results string

func all(r result, n int) results { return results(strings.Repeat(string(r), n)) }

func unknown(n int) results { return all(unsure, n) }

// then returns what is known after something more was learned. Only what AWS says of a record itself ends a doubt: that a
// later request was refused says nothing of an earlier one.
func (r results) then(more results) results {
	if r == "" {
		return more
	}
	if len(r) != len(more) {
		return unknown(len(more))
	}
	out := []byte(more)
	for i := range out {
		switch before, now := result(r[i]), result(out[i]); {
		case now == success || now == duplicate:
		case before == success || before == unsure:
			out[i] = byte(before)
		}
	}
	return results(out)
}

// certain reports whether of every record it is known whether AWS has it.
func (r results) certain() bool { return r != "" && !strings.ContainsRune(string(r), rune(unsure)) }

// notTaken reports whether it is sure that a record of ours was not taken, and still has to be reported. A duplicate has
// not: somebody reported that hour otherwise, and to report it again could bill it twice.
func (r results) notTaken(i int) bool { return result(r[i]) == refusal || result(r[i]) == unprocessed }

// unused reports whether it is sure that AWS has none of the records.
func (r results) unused() bool {
	for i := range len(r) {
		if !r.notTaken(i) {
			return false
		}
	}
	return r != ""
}

func (r results) valid(n int) bool {
	return len(r) == n && strings.Trim(string(r), "SDNU?") == ""
}

// body is what is kept of an answer, of all attempts of a report: with many records a part may have been taken.
type body struct {
	Results results  `json:"results"`
	Errors  []string `json:"errors,omitempty"`
}

// encode returns the text that is stored, within partner.ResponseBytesMax.
func (b *body) encode() string {
	for {
		text, err := encode(b)
		if err == nil && len(text) <= partner.ResponseBytesMax || len(b.Errors) == 0 {
			return string(text)
		}
		b.Errors = b.Errors[:len(b.Errors)-1]
	}
}

// decodeBody reads what encode gave. false: it is not known what came of the n records.
func decodeBody(text string, n int) (results, bool) {
	var b body
	if json.Unmarshal([]byte(text), &b) != nil || !b.Results.valid(n) {
		return unknown(n), false
	}
	return b.Results, true
}

// resultsOf returns what a report came to, of n records.
func resultsOf(r *ledger.Report, n int) results {
	switch r.Status {
	case ledger.ReportAccepted:
		return all(success, n)
	case ledger.ReportFailed, ledger.ReportRefused:
		if r.Attempt == 0 {
			return all(unprocessed, n)
		}
		known, _ := decodeBody(r.Response, n)
		return known
	default:
		return unknown(n)
	}
}
