package awsmarketplace

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering/types"

	"reckoner/ledger/report/partner"
)

// delivery is one attempt. Its results are of this attempt alone.
type delivery struct {
	*payload
	client  *marketplacemetering.Client
	results []byte
	errors  []string
	code    int
	wait    time.Duration // how long AWS asks to wait
}

// Deliver sends the records of an hour that AWS is not known to have, 25 a call. What came of each of them is in the
// answer's Body.
func (t *Target) Deliver(ctx context.Context, d *partner.Delivery) partner.Answer {
	p, err := decodePayload(d.Payload)
	if err != nil {
		return partner.Answer{Verdict: partner.Final, Err: err}
	}
	before := knownBefore(d, len(p.Records))
	try := &delivery{payload: p, results: []byte(all(unprocessed, len(p.Records)))}
	var left []int
	for i := range p.Records {
		if before != "" && result(before[i]) == success {
			try.results[i] = byte(success)
			continue
		}
		left = append(left, i)
	}
	c, err := t.config(ctx)
	if err != nil {
		try.errors = append(try.errors, "no configuration of the AWS SDK: "+err.Error())
	} else {
		try.client = marketplacemetering.NewFromConfig(c, func(o *marketplacemetering.Options) {
			o.Region, o.HTTPClient, o.Retryer = p.Region, client{t.http}, aws.NopRetryer{}
			if d.BaseURL != "" {
				o.BaseEndpoint = aws.String(d.BaseURL)
			}
		})
		for chunk := range slices.Chunk(left, callMax) {
			if !try.call(ctx, chunk) {
				break
			}
		}
	}
	return try.answer(before)
}

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

// call sends some records. It returns whether it is of use to send more.
func (t *delivery) call(ctx context.Context, at []int) bool {
	in := &marketplacemetering.BatchMeterUsageInput{UsageRecords: make([]types.UsageRecord, 0, len(at))}
	if t.ProductCode != "" {
		in.ProductCode = aws.String(t.ProductCode)
	}
	for _, i := range at {
		in.UsageRecords = append(in.UsageRecords, t.Records[i].sdk())
	}
	sent := new(mark)
	out, err := t.client.BatchMeterUsage(context.WithValue(ctx, markKey{}, sent), in)
	if err == nil {
		t.code = 200
		t.sort(at, out)
		return true
	}
	f := failureOf(err, sent.set.Load())
	t.code, t.wait = f.code, max(t.wait, f.wait)
	for _, i := range at {
		t.results[i] = byte(f.result)
	}
	if f.splits && len(at) > 1 { // one bad dimension must not keep the others from being billed
		for _, i := range at {
			if !t.call(ctx, []int{i}) {
				return false
			}
		}
		return true
	}
	t.errors = append(t.errors, t.name(at)+f.text)
	return f.splits
}

// name says which record an error is of, where that is not all.
func (t *delivery) name(at []int) string {
	if len(at) != 1 || len(t.Records) == 1 {
		return ""
	}
	return fmt.Sprintf("dimension %q: ", t.Records[at[0]].Dimension)
}

// sort takes what an answer says of each record. Each has a dimension of its own.
func (t *delivery) sort(at []int, out *marketplacemetering.BatchMeterUsageOutput) {
	of := make(map[string]int, len(at))
	for _, i := range at {
		t.results[i] = byte(unsure) // unless the answer says what came of it
		of[t.Records[i].Dimension] = i
	}
	for i := range out.Results {
		r := &out.Results[i]
		if r.UsageRecord == nil {
			continue
		}
		at, ok := of[aws.ToString(r.UsageRecord.Dimension)]
		if !ok {
			continue
		}
		switch r.Status {
		case types.UsageRecordResultStatusSuccess:
			t.results[at] = byte(success)
		case types.UsageRecordResultStatusCustomerNotSubscribed:
			t.results[at] = byte(refusal)
			t.errors = append(t.errors, fmt.Sprintf("dimension %q: CustomerNotSubscribed: the customer has no agreement that is active, or is not named right in the catalog", t.Records[at].Dimension))
		case types.UsageRecordResultStatusDuplicateRecord:
			t.results[at] = byte(duplicate)
			t.errors = append(t.errors, fmt.Sprintf("dimension %q: DuplicateRecord: AWS holds another quantity of that hour than %d, from somebody else; compare CloudTrail (BatchMeterUsage), and let one alone report it",
				t.Records[at].Dimension, t.Records[at].Quantity))
		}
	}
	for i := range out.UnprocessedRecords {
		if at, ok := of[aws.ToString(out.UnprocessedRecords[i].Dimension)]; ok && result(t.results[at]) == unsure {
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
	hour := t.Records[0].Timestamp.Format(time.RFC3339)
	switch {
	case strings.Trim(string(now), string(rune(success))) == "":
		a.Verdict = partner.Accepted
	case strings.ContainsAny(string(now), string([]rune{rune(unprocessed), rune(unsure)})):
		a.Verdict = partner.Again
		a.Err = fmt.Errorf("AWS has not taken all %d records of the hour from %s: %s", len(now), hour, t.why())
	default:
		a.Verdict = partner.Final
		a.Err = fmt.Errorf("AWS does not take all %d records of the hour from %s: %s%s", len(now), hour, t.why(), t.rest(now, known))
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
func (t *delivery) rest(now, known results) string {
	var lost []string
	for i := range now {
		if result(known[i]) == unsure {
			lost = append(lost, fmt.Sprintf("%s (%d)", t.Records[i].Dimension, t.Records[i].Quantity))
		}
	}
	if len(lost) > 0 {
		return "\nan earlier attempt may have been taken, so these count as reported, else they could be billed twice: " +
			strings.Join(lost, ", ") + ". Look for them in CloudTrail (BatchMeterUsage)"
	}
	if strings.ContainsRune(string(known), rune(refusal)) {
		return "\nwhat was not taken goes out with the next hour"
	}
	return ""
}

func asErrors(texts []string) []error {
	const shown = 5
	var errs []error
	for i, text := range texts {
		if i == shown {
			errs = append(errs, fmt.Errorf("and %d more", len(texts)-shown))
			break
		}
		errs = append(errs, errors.New(text))
	}
	return errs
}
