package awsmarketplace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering/types"

	"reckoner/ledger/report/partner"
)

// delivery is one attempt. Its results are of this attempt alone.
type delivery struct {
	at      []place
	results []byte
	client  func(region string) *marketplacemetering.Client
	errors  []string
	code    int
	wait    time.Duration // how long AWS asks to wait
}

// place is where a record is.
type place struct {
	*telling
	*record
}

// Deliver sends the records that AWS is not known to have, 25 a call. What came of each of them is in the answer's Body.
func (t *Target) Deliver(ctx context.Context, d *partner.Delivery) partner.Answer {
	hours, err := decodePayload(d.Payload)
	if err != nil {
		return partner.Answer{Verdict: partner.Final, Err: err}
	}
	try := new(delivery)
	for _, h := range hours {
		for i := range h.Records {
			try.at = append(try.at, place{h, &h.Records[i]})
		}
	}
	try.results = []byte(all(unprocessed, len(try.at)))
	before := knownBefore(d, len(try.at))
	var left []int
	for i := range try.at {
		if before != "" && result(before[i]) == success {
			try.results[i] = byte(success)
			continue
		}
		left = append(left, i)
	}
	c, err := t.config(ctx)
	if err != nil {
		try.errors = append(try.errors, "no configuration of the AWS SDK: "+err.Error())
		return try.answer(before)
	}
	try.client = func(region string) *marketplacemetering.Client {
		return marketplacemetering.NewFromConfig(c, func(o *marketplacemetering.Options) {
			o.Region, o.HTTPClient, o.Retryer = region, client{t.http}, aws.NopRetryer{}
			if d.BaseURL != "" {
				o.BaseEndpoint = aws.String(d.BaseURL)
			}
		})
	}
	try.send(ctx, left)
	return try.answer(before)
}

// send sends records, as many of one product together as a call takes, until AWS takes none.
func (t *delivery) send(ctx context.Context, left []int) {
	for len(left) > 0 {
		n := 1
		for n < len(left) && n < callMax && t.at[left[n]].sameCall(t.at[left[0]]) {
			n++
		}
		if !t.call(ctx, left[:n]) {
			if refused := t.results[left[0]]; result(refused) == refusal {
				for _, i := range left[n:] {
					t.results[i] = refused // not sent, and of no use to be
				}
			}
			return
		}
		left = left[n:]
	}
}

func (p place) sameCall(o place) bool { return p.Region == o.Region && p.ProductCode == o.ProductCode }

// knownBefore returns what the attempts before came to; empty: there were none.
func knownBefore(d *partner.Delivery, n int) results {
	if d.Attempt == 1 {
		return ""
	}
	if d.Before == nil {
		return unknown(n)
	}
	known, _ := decodeBody(d.Before.Body, n)
	return known
}

// call sends some records of one hour or more. It returns whether it is of use to send others.
func (t *delivery) call(ctx context.Context, at []int) bool {
	first := t.at[at[0]]
	in := &marketplacemetering.BatchMeterUsageInput{UsageRecords: make([]types.UsageRecord, 0, len(at))}
	if first.ProductCode != "" {
		in.ProductCode = aws.String(first.ProductCode)
	}
	for _, i := range at {
		in.UsageRecords = append(in.UsageRecords, t.at[i].sdk())
	}
	sent := new(mark)
	out, err := t.client(first.Region).BatchMeterUsage(context.WithValue(ctx, markKey{}, sent), in)
	if err == nil {
		t.code = http.StatusOK
		t.sort(at, out)
		return true
	}
	f := failureOf(err, sent)
	t.code, t.wait = f.code, max(t.wait, f.wait)
	for _, i := range at {
		t.results[i] = byte(f.result)
	}
	if parts := t.split(at, f.fault); len(parts) > 1 { // one bad record must not keep the others from being billed
		for _, part := range parts {
			if !t.call(ctx, part) {
				return false
			}
		}
		return true
	}
	if f.fault == ofAll {
		t.errors = append(t.errors, f.text)
	} else {
		t.errors = append(t.errors, t.at[at[0]].String()+": "+f.text)
	}
	return f.fault != ofAll
}

// split returns the records of a call by what its fault is of.
func (t *delivery) split(at []int, f fault) [][]int {
	if f == ofAll {
		return nil
	}
	var parts [][]int
	for k, i := range at {
		if k == 0 || f == ofRecord || t.at[i].telling != t.at[at[k-1]].telling {
			parts = append(parts, nil)
		}
		last := len(parts) - 1
		parts[last] = append(parts[last], i)
	}
	return parts
}

// String says which record it is.
func (p place) String() string {
	return fmt.Sprintf("dimension %q in the hour from %s", p.Dimension, p.Timestamp.Format(time.RFC3339))
}

// told is what AWS knows a record of a call by.
type told struct {
	dimension string
	at        int64
}

func toldOf(dimension *string, at *time.Time) told {
	return told{aws.ToString(dimension), aws.ToTime(at).Unix()}
}

// sort takes what an answer says of each record.
func (t *delivery) sort(at []int, out *marketplacemetering.BatchMeterUsageOutput) {
	of := make(map[told]int, len(at))
	for _, i := range at {
		t.results[i] = byte(unsure) // unless the answer says what came of it
		of[toldOf(&t.at[i].Dimension, &t.at[i].Timestamp)] = i
	}
	for i := range out.Results {
		r := &out.Results[i]
		if r.UsageRecord == nil {
			continue
		}
		at, ok := of[toldOf(r.UsageRecord.Dimension, r.UsageRecord.Timestamp)]
		if !ok {
			continue
		}
		switch r.Status {
		case types.UsageRecordResultStatusSuccess:
			t.results[at] = byte(success)
		case types.UsageRecordResultStatusCustomerNotSubscribed:
			t.results[at] = byte(refusal)
			t.errors = append(t.errors, t.at[at].String()+": CustomerNotSubscribed: the customer has no agreement that is active, or is not named right in the catalog")
		case types.UsageRecordResultStatusDuplicateRecord:
			t.results[at] = byte(duplicate)
			t.errors = append(t.errors, fmt.Sprintf("%s: DuplicateRecord: AWS holds another quantity than %d, from somebody else; compare CloudTrail (BatchMeterUsage), and let one alone report it",
				t.at[at], t.at[at].Quantity))
		}
	}
	for i := range out.UnprocessedRecords {
		r := &out.UnprocessedRecords[i]
		if at, ok := of[toldOf(r.Dimension, r.Timestamp)]; ok && result(t.results[at]) == unsure {
			t.results[at] = byte(unprocessed)
		}
	}
}

func (r *record) sdk() types.UsageRecord {
	out := types.UsageRecord{
		Timestamp: aws.Time(r.Timestamp), Dimension: aws.String(r.Dimension), Quantity: aws.Int32(r.Quantity),
	}
	for _, o := range []struct {
		to   **string
		text string
	}{{&out.CustomerAWSAccountId, r.CustomerAccountID}, {&out.CustomerIdentifier, r.CustomerIdentifier}, {&out.LicenseArn, r.LicenseARN}} {
		if o.text != "" {
			*o.to = aws.String(o.text)
		}
	}
	return out
}

// answer sums an attempt up. It is final once AWS said of every record what came of it.
func (t *delivery) answer(before results) partner.Answer {
	now := results(t.results)
	known := before.then(now)
	b := body{Results: known, Errors: t.errors}
	a := partner.Answer{Code: t.code, Body: b.encode(), RetryAfter: t.wait}
	hours := fmt.Sprintf("%d records of the hours from %s", len(now), t.at[0].Timestamp.Format(time.RFC3339))
	switch {
	case strings.Trim(string(now), string(rune(success))) == "":
		a.Verdict = partner.Accepted
	case strings.ContainsAny(string(now), string([]rune{rune(unprocessed), rune(unsure)})):
		a.Verdict = partner.Again
		a.Err = fmt.Errorf("AWS has not taken all %s on: %s", hours, t.why())
	default:
		a.Verdict = partner.Final
		a.Err = fmt.Errorf("AWS does not take all %s on: %s%s", hours, t.why(), t.rest(known))
	}
	return a
}

func (t *delivery) why() string {
	if len(t.errors) == 0 {
		return "it did not process them"
	}
	return errors.Join(asErrors(t.errors)...).Error()
}

// rest says what becomes of the quantities that were not taken.
func (t *delivery) rest(known results) string {
	var lost []string
	for i := range known {
		if result(known[i]) == unsure && len(lost) < shownMax {
			lost = append(lost, fmt.Sprintf("%s (%d)", t.at[i], t.at[i].Quantity))
		}
	}
	if len(lost) > 0 {
		return "\nan earlier attempt may have been taken. These are told again as they were while AWS takes that hour, and then count as reported, else they could be billed twice: " +
			strings.Join(lost, ", ") + ". Look for them in CloudTrail (BatchMeterUsage)"
	}
	if strings.ContainsRune(string(known), rune(refusal)) {
		return "\nwhat was not taken is told again with what comes next"
	}
	return ""
}

// shownMax bounds how much an error names.
const shownMax = 5

func asErrors(texts []string) []error {
	var errs []error
	for i, text := range texts {
		if i == shownMax {
			errs = append(errs, fmt.Errorf("and %d more", len(texts)-shownMax))
			break
		}
		errs = append(errs, errors.New(text))
	}
	return errs
}
