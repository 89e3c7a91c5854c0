package awsmarketplace_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"reckoner/ledger/report/partner"
	"reckoner/ledger/report/partner/awsmarketplace"
)

// payloadOf is the stored bytes of a report of the first hour with a record for each dimension.
func payloadOf(dimensions ...string) []byte {
	var b strings.Builder
	b.WriteString(`{"hours":[{"region":"eu-west-1","usageRecords":[`)
	for i, d := range dimensions {
		if i > 0 {
			b.WriteString(",")
		}
		fmt.Fprintf(&b, `{"timestamp":%q,"customerAWSAccountId":"123456789012","licenseArn":"arn:aws:license-manager::294406891311:license:l-1","dimension":%q,"quantity":%d}`,
			start.Format(time.RFC3339), d, i+1)
	}
	b.WriteString("]}]}")
	return []byte(b.String())
}

func many(n int) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf("d%d", i)
	}
	return all
}

func TestRecordsGoOverTheWireAsTheyAreStored(t *testing.T) {
	r := newRig(t)
	a := r.deliver(payloadOf(many(60)...), 1, nil)
	if a.Verdict != partner.Accepted || a.Err != nil || a.Code != 200 || a.Body != `{"results":"`+strings.Repeat("S", 60)+`"}` {
		t.Fatalf("%+v", a)
	}
	if len(r.aws.calls) != 3 || len(r.aws.calls[0].records) != 25 || len(r.aws.calls[2].records) != 10 || r.aws.calls[0].region != "eu-west-1" {
		t.Fatalf("%d calls of %d records to %s", len(r.aws.calls), len(r.aws.calls[0].records), r.aws.calls[0].region)
	}
	for i, d := range many(60) {
		k := meterKey{"arn:aws:license-manager::294406891311:license:l-1", "123456789012", d, start}
		if n, ok := r.aws.held[k]; !ok || int(n) != i+1 {
			t.Errorf("%s: %d", d, n)
		}
	}
	// Sent again it is the same, and changes nothing.
	if a := r.deliver(payloadOf(many(60)...), 0, nil); a.Verdict != partner.Accepted || len(r.aws.held) != 60 || len(r.aws.duplicates) > 0 {
		t.Errorf("%+v", a)
	}
	old := `{"hours":[{"region":"us-east-1","productCode":"p0","usageRecords":[{"timestamp":"2026-10-30T06:00:00Z","customerIdentifier":"c0","dimension":"d","quantity":2147483647}]}]}`
	if a := r.deliver([]byte(old), 1, nil); a.Verdict != partner.Accepted {
		t.Errorf("%+v", a)
	}
	if n := r.aws.held[meterKey{"p0", "c0", "d", start}]; n != math.MaxInt32 {
		t.Errorf("%d", n)
	}
}

func TestWhatCameOfEachRecordIsKept(t *testing.T) {
	for _, c := range []struct {
		name       string
		dimensions []string
		trap       trap
		refuse     string
		after      time.Duration // of the hour's start, when it is sent
		want       partner.Verdict
		results    string
		says       string
	}{
		{name: "throttled", trap: trap{code: "ThrottlingException", header: http.Header{"Retry-After": {"7"}}}, want: partner.Again, results: "UUU", says: "ThrottlingException"},
		{name: "too many", trap: trap{code: "TooManyRequestsException", status: 429}, want: partner.Again, results: "UUU", says: "TooManyRequestsException"},
		{name: "AWS fails", trap: trap{code: "InternalServiceErrorException", status: 500}, want: partner.Again, results: "???", says: "InternalServiceErrorException"},
		{name: "answer lost", trap: trap{mute: true}, want: partner.Again, results: "???", says: "EOF"},
		{name: "not from AWS", trap: trap{garbage: true}, want: partner.Again, results: "???", says: ""},
		{name: "redirected", trap: trap{redirect: "http://127.0.0.1:1/"}, want: partner.Again, results: "UUU", says: ""},
		{name: "unprocessed", trap: trap{skip: map[int]bool{1: true}}, want: partner.Again, results: "SUS", says: "it did not process them"},
		{name: "not subscribed", refuse: "CustomerNotSubscribed", want: partner.Final, results: "NNN", says: "is told again with what comes next"},
		{name: "duplicate", refuse: "DuplicateRecord", want: partner.Final, results: "DDD", says: "another quantity than 1"},
		{name: "a status of tomorrow", refuse: "Tomorrow", want: partner.Again, results: "???", says: ""},
		{name: "no such dimension", dimensions: []string{"a", "no such", "b"}, want: partner.Final, results: "SNS", says: `dimension "no such" in the hour from 2026-10-30T06:00:00Z: InvalidUsageDimensionException (the product has no such dimension`},
		{name: "no permission", trap: trap{code: "AccessDeniedException"}, want: partner.Final, results: "NNN", says: "need aws-marketplace:BatchMeterUsage"},
		{name: "no such license", trap: trap{code: "InvalidLicenseException"}, want: partner.Final, results: "NNN", says: "look at license_arn"},
		{name: "no such region", trap: trap{code: "DisabledApiException"}, want: partner.Final, results: "NNN", says: "look at region"},
		{name: "clock", trap: trap{code: "RequestExpired"}, want: partner.Again, results: "UUU", says: "RequestExpired"},
		{name: "too late", after: 24 * time.Hour, want: partner.Final, results: "NNN", says: "AWS takes that hour no more"},
		{name: "too early", after: -time.Second, want: partner.Final, results: "NNN", says: "AWS takes that hour no more"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.set(start.Add(c.after))
			r.aws.fault = func(int) trap { return c.trap }
			r.aws.refuse = func(string) string { return c.refuse }
			if c.dimensions == nil {
				c.dimensions = many(3)
			}
			a := r.deliver(payloadOf(c.dimensions...), 1, nil)
			if a.Verdict != c.want || !strings.HasPrefix(a.Body, `{"results":"`+c.results+`"`) || a.Err == nil || !strings.Contains(a.Err.Error(), c.says) {
				t.Errorf("%d %s %v", a.Verdict, a.Body, a.Err)
			}
			if strings.Contains(a.Body+a.Err.Error(), "hunter2") || strings.Contains(a.Body+a.Err.Error(), "s3ss10n") {
				t.Errorf("%s %v shows what is secret", a.Body, a.Err)
			}
			if want := map[bool]time.Duration{true: 7 * time.Second}[c.name == "throttled"]; a.RetryAfter != want {
				t.Errorf("wait %s", a.RetryAfter)
			}
			if r.aws.times() > 4 {
				t.Errorf("%d calls: the SDK tries again by itself", r.aws.times())
			}
		})
	}
}

// What was learned by one attempt is not forgotten by the next, and a doubt stays until AWS itself ends it.
func TestAttemptsAddUp(t *testing.T) {
	for _, c := range []struct {
		name          string
		attempt       uint32
		before        *partner.Answer
		trap          trap
		refuse        string
		want, results string
		asked         int
	}{
		{name: "first", attempt: 1, trap: trap{code: "AccessDeniedException"}, results: "NN", asked: 1},
		{name: "attempt unknown", attempt: 0, trap: trap{code: "AccessDeniedException"}, results: "??", asked: 1},
		{name: "answer before unknown", attempt: 2, trap: trap{code: "AccessDeniedException"}, results: "??", asked: 1},
		{name: "answer before unreadable", attempt: 2, before: &partner.Answer{Body: "<html>"}, trap: trap{code: "AccessDeniedException"}, results: "??", asked: 1},
		{name: "answer before of another report", attempt: 2, before: &partner.Answer{Body: `{"results":"NNN"}`}, trap: trap{code: "AccessDeniedException"}, results: "??", asked: 1},
		{name: "doubt stays", attempt: 2, before: &partner.Answer{Body: `{"results":"?U"}`}, trap: trap{code: "AccessDeniedException"}, results: "?N", asked: 1},
		{name: "doubt stays when refused", attempt: 2, before: &partner.Answer{Body: `{"results":"?U"}`}, refuse: "CustomerNotSubscribed", results: "?N", asked: 1},
		{name: "doubt ends", attempt: 2, before: &partner.Answer{Body: `{"results":"?U"}`}, results: "SS", asked: 1},
		{name: "what is there stays there", attempt: 2, before: &partner.Answer{Body: `{"results":"SU"}`}, trap: trap{code: "AccessDeniedException"}, results: "SN", asked: 1},
		{name: "all is there", attempt: 2, before: &partner.Answer{Body: `{"results":"SS"}`}, trap: trap{code: "AccessDeniedException"}, results: "SS", asked: 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.aws.fault = func(int) trap { return c.trap }
			r.aws.refuse = func(string) string { return c.refuse }
			a := r.deliver(payloadOf("a", "b"), c.attempt, c.before)
			if !strings.HasPrefix(a.Body, `{"results":"`+c.results+`"`) || r.aws.times() != c.asked {
				t.Errorf("%s %v after %d calls", a.Body, a.Err, r.aws.times())
			}
			if strings.Contains(c.results, "?") && (a.Verdict != partner.Final || !strings.Contains(a.Err.Error(), "then count as reported")) {
				t.Errorf("%v does not say that it counts as reported", a.Err)
			}
		})
	}
}

// What never went out was surely not taken.
func TestWhatWasNotSentIsNotInDoubt(t *testing.T) {
	noKeys := func(context.Context) (aws.Config, error) {
		return aws.Config{Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{}, errors.New("no keys")
		})}, nil
	}
	ended, end := context.WithCancel(t.Context())
	end()
	for name, c := range map[string]struct {
		ctx  context.Context
		load func(context.Context) (aws.Config, error)
		url  string
		says string
	}{
		"no configuration": {t.Context(), func(context.Context) (aws.Config, error) { return aws.Config{}, errors.New("no file") }, "http://127.0.0.1:1", "no configuration of the AWS SDK: no file"},
		"no credentials":   {t.Context(), noKeys, "http://127.0.0.1:1", "no keys"},
		"nobody there":     {t.Context(), load, "http://127.0.0.1:1", "connection refused"},
		"no such host":     {t.Context(), load, "http://host.invalid", "host.invalid"},
		"stopped":          {ended, load, "http://127.0.0.1:1", "canceled"},
	} {
		target := awsmarketplace.New(awsmarketplace.Options{Load: c.load})
		a := target.Deliver(c.ctx, &partner.Delivery{BaseURL: c.url, Payload: payloadOf("a", "b"), Attempt: 1})
		if a.Verdict != partner.Again || !strings.HasPrefix(a.Body, `{"results":"UU"`) || !strings.Contains(a.Err.Error(), c.says) {
			t.Errorf("%s: %d %s %v", name, a.Verdict, a.Body, a.Err)
		}
	}
}

// An answer that tells of a wrong signature repeats what was signed.
func TestWhatWasSignedIsNotRepeated(t *testing.T) {
	r := newRig(t)
	r.aws.fault = func(int) trap { return trap{code: "InvalidSignatureException"} }
	r.aws.saying = "The Canonical String for this request should have been x-amz-security-token:s3ss10n"
	a := r.deliver(payloadOf("a"), 1, nil)
	if a.Verdict != partner.Final || strings.Contains(a.Body+a.Err.Error(), "s3ss10n") || !strings.Contains(a.Err.Error(), "look at the credentials") {
		t.Errorf("%s %v", a.Body, a.Err)
	}
}

// A call has the records of one product in one region: AWS takes one ProductCode a call, and an agreement's records have none.
func TestACallIsOfOneProductAndRegion(t *testing.T) {
	r := newRig(t)
	hour := func(region, product, at string) string {
		return fmt.Sprintf(`{"region":%q,"productCode":%q,"usageRecords":[{"timestamp":%q,"customerIdentifier":"c0","dimension":"d","quantity":1}]}`, region, product, at)
	}
	const first, second, third = "2026-10-30T06:00:00Z", "2026-10-30T05:00:00Z", "2026-10-30T04:00:00Z"
	a := r.deliver([]byte(`{"hours":[`+hour("us-east-1", "p0", first)+","+hour("us-east-1", "p1", second)+","+hour("eu-west-1", "p1", third)+`]}`), 1, nil)
	if a.Verdict != partner.Accepted || len(r.aws.calls) != 3 || r.aws.calls[1].region != "us-east-1" || r.aws.calls[2].region != "eu-west-1" {
		t.Fatalf("%+v, calls %+v", a, r.aws.calls)
	}
	for _, k := range []struct{ product, at string }{{"p0", first}, {"p1", second}, {"p1", third}} {
		at, err := time.Parse(time.RFC3339, k.at)
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := r.aws.held[meterKey{k.product, "c0", "d", at}]; !ok {
			t.Errorf("AWS holds nothing of %s in the hour from %s: %v", k.product, k.at, r.aws.held)
		}
	}
}

// What is written to the network may have arrived, whatever became of the connection then; an error of dialing says that it did not.
func TestALostConnectionLeavesADoubt(t *testing.T) {
	for op, want := range map[string]string{"dial": `{"results":"U"`, "read": `{"results":"?"`, "write": `{"results":"?"`} {
		for k, v := range map[string]string{"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PROFILE": ""} {
			t.Setenv(k, v)
		}
		target := awsmarketplace.New(awsmarketplace.Options{Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			return nil, &net.OpError{Op: op, Net: "tcp", Err: errors.New("connection reset by peer")}
		})})
		if a := target.Deliver(t.Context(), &partner.Delivery{Payload: payloadOf("a"), Attempt: 1}); a.Verdict != partner.Again || !strings.HasPrefix(a.Body, want) {
			t.Errorf("%s: %s %v", op, a.Body, a.Err)
		}
	}
}

func TestHowLongAWSMayHaveUsWait(t *testing.T) {
	for header, want := range map[string]time.Duration{"7": 7 * time.Second, "86400": time.Hour, "-5": 0, "soon": 0} {
		r := newRig(t)
		r.aws.fault = func(int) trap {
			return trap{code: "ThrottlingException", header: http.Header{"Retry-After": {header}}}
		}
		if a := r.deliver(payloadOf("a"), 1, nil); a.RetryAfter != want {
			t.Errorf("%s: %s", header, a.RetryAfter)
		}
	}
}

// Whatever answers at the endpoint may repeat what the request carried. None of it is kept, not even a part of it where a long message is cut.
func TestWhatARequestCarriedIsNotKept(t *testing.T) {
	const session = "s3ss10n/with+signs=="
	for k, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_SESSION_TOKEN": session, "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PROFILE": "",
	} {
		t.Setenv(k, v)
	}
	for _, c := range []struct {
		code, before string
		status       int
	}{
		{"AccessDeniedException", "denied ", 403}, {"InternalServiceErrorException", "boom ", 500}, {"TimestampOutOfBoundsException", "", 400},
		{"AccessDeniedException", strings.Repeat("x", 995), 403},
	} {
		target := awsmarketplace.New(awsmarketplace.Options{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
			token := req.Header.Get("X-Amz-Security-Token")
			if token != session {
				t.Errorf("%q was sent", token)
			}
			w := httptest.NewRecorder()
			exception(w, trap{code: c.code, status: c.status}, c.before+token+" "+req.Header.Get("Authorization")+" "+url.QueryEscape(token))
			return w.Result(), nil
		})})
		a := target.Deliver(t.Context(), &partner.Delivery{Payload: payloadOf("a"), Attempt: 1})
		kept := a.Body + a.Err.Error()
		if strings.Contains(kept, "s3ss") || regexp.MustCompile("Signature=[0-9a-f]").MatchString(kept) || !strings.Contains(kept, c.before[:min(3, len(c.before))]) {
			t.Errorf("%s: %s", c.code, kept)
		}
		if c.before != strings.Repeat("x", 995) && !strings.Contains(kept, "[token]") {
			t.Errorf("%s: nothing stands for the token: %s", c.code, kept)
		}
	}
}

func TestAnswersAreBounded(t *testing.T) {
	r := newRig(t)
	r.aws.refuse = func(string) string { return "CustomerNotSubscribed" }
	a := r.deliver(payloadOf(many(2500)...), 1, nil)
	if len(a.Body) > partner.ResponseBytesMax || !strings.HasPrefix(a.Body, `{"results":"`+strings.Repeat("N", 2500)+`"`) || len(a.Err.Error()) > 2000 {
		t.Errorf("%d bytes %s, %d bytes %v", len(a.Body), a.Body, len(a.Err.Error()), a.Err)
	}
}

func TestAnUnreadablePayloadIsNotSent(t *testing.T) {
	r := newRig(t)
	for _, b := range []string{"", "{}", "[]", `{"hours":[]}`, `{"hours":[{"region":"eu-west-1","usageRecords":[]}]}`, `{"hours":[{"region":"eu-west-1","usageRecords":[{"quantity":2147483648}]}]}`, `{"hours":[{"region":"x","usageRecords":[{}],"more":1}]}`} {
		if a := r.deliver([]byte(b), 1, nil); a.Verdict != partner.Final || a.Err == nil {
			t.Errorf("%s: %+v", b, a)
		}
	}
	if r.aws.times() > 0 {
		t.Error("AWS was asked")
	}
}

// The SDK's own way: credentials from the environment, and the endpoint from the region unless one is given.
func TestTheSDKFindsItsWay(t *testing.T) {
	r := newRig(t)
	for k, v := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "hunter2", "AWS_EC2_METADATA_DISABLED": "true",
		"AWS_CONFIG_FILE": "/dev/null", "AWS_SHARED_CREDENTIALS_FILE": "/dev/null", "AWS_PROFILE": "", "AWS_MAX_ATTEMPTS": "5",
	} {
		t.Setenv(k, v)
	}
	target := awsmarketplace.New(awsmarketplace.Options{})
	if a := target.Deliver(t.Context(), &partner.Delivery{BaseURL: r.url, Payload: payloadOf("a"), Attempt: 1}); a.Verdict != partner.Accepted {
		t.Errorf("%+v", a)
	}
	seen := ""
	target = awsmarketplace.New(awsmarketplace.Options{Transport: roundTrip(func(req *http.Request) (*http.Response, error) {
		seen = req.URL.String()
		return nil, errors.New("not today")
	})})
	if a := target.Deliver(t.Context(), &partner.Delivery{Payload: payloadOf("a"), Attempt: 1}); a.Verdict != partner.Again || seen != "https://metering.marketplace.eu-west-1.amazonaws.com/" {
		t.Errorf("%s: %+v", seen, a)
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
