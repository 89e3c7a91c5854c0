package awsmarketplace_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"reckoner/ledger"
)

// fake is BatchMeterUsage as its API reference has it, over the SDK's own wire protocol (AWS JSON 1.1).
type fake struct {
	now func() time.Time

	mu     sync.Mutex
	held   map[meterKey]int32 // what AWS bills
	calls  []call
	asked  int              // calls, refused ones included
	fault  func(n int) trap // drawn for each call of n records; nil: none
	refuse func(dimension string) string

	saying string // the message of exceptions that a test wants

	duplicates []meterKey
	doubted    map[meterKey]int32 // records that nobody was told of what came of them
}

// meterKey is what AWS takes one quantity of.
type meterKey struct {
	agreement, customer, dimension string
	hour                           time.Time
}

type call struct {
	region  string
	records []wireRecord
}

// trap is what goes wrong with a call.
type trap struct {
	code     string       // an exception, before anything is taken
	status   int          // its status; 0: 400
	header   http.Header  // beside it
	skip     map[int]bool // records that are not processed
	mute     bool         // the answer is lost, after all was done
	garbage  bool         // the answer is not from AWS, after all was done
	redirect string
}

type wireRecord struct {
	Timestamp            json.Number
	Dimension            string
	Quantity             *int64
	CustomerIdentifier   string `json:",omitempty"`
	CustomerAWSAccountId string `json:",omitempty"` //nolint:revive // as on the wire
	LicenseArn           string `json:",omitempty"` //nolint:revive // as on the wire
}

type wireRequest struct {
	ProductCode  string
	UsageRecords []wireRecord
}

type wireResult struct {
	UsageRecord      wireRecord
	MeteringRecordId string //nolint:revive // as on the wire
	Status           string
}

func newFake(now func() time.Time) *fake {
	return &fake{now: now, held: make(map[meterKey]int32), doubted: make(map[meterKey]int32)}
}

var credential = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/\d{8}/([a-z0-9-]+)/aws-marketplace/aws4_request, SignedHeaders=.*, Signature=[0-9a-f]{64}$`)

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	region := credential.FindStringSubmatch(r.Header.Get("Authorization"))
	var in wireRequest
	b, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	d := json.NewDecoder(strings.NewReader(string(b)))
	d.DisallowUnknownFields()
	d.UseNumber()
	switch {
	case err != nil || d.Decode(&in) != nil:
		exception(w, trap{code: "SerializationException"}, string(b))
		return
	case r.Method != http.MethodPost || r.URL.Path != "/" || r.Header.Get("X-Amz-Target") != "AWSMPMeteringService.BatchMeterUsage" ||
		r.Header.Get("Content-Type") != "application/x-amz-json-1.1":
		exception(w, trap{code: "UnknownOperationException"}, fmt.Sprint(r.Method, r.URL, r.Header))
		return
	case region == nil:
		exception(w, trap{code: "UnrecognizedClientException"}, r.Header.Get("Authorization"))
		return
	}
	var t trap
	if f.fault != nil {
		t = f.fault(len(in.UsageRecords))
	}
	if t.redirect != "" {
		http.Redirect(w, r, t.redirect, http.StatusTemporaryRedirect)
		return
	}
	if t.status >= 500 || t.mute || t.garbage {
		for _, r := range in.UsageRecords {
			f.doubted[in.key(r)] = int32(*r.Quantity)
		}
	}
	if t.code != "" {
		exception(w, t, cmp.Or(f.saying, "as the test wants it"))
		return
	}
	if code, why := f.wrong(&in); code != "" {
		exception(w, trap{code: code}, why)
		return
	}
	out := f.take(&in, t)
	f.calls = append(f.calls, call{region[1], in.UsageRecords})
	switch {
	case t.mute:
		panic(http.ErrAbortHandler)
	case t.garbage:
		_, _ = io.WriteString(w, "<html>welcome to the hotel</html>")
	default:
		w.Header().Set("Content-Type", "application/x-amz-json-1.1")
		_ = json.NewEncoder(w).Encode(out)
	}
}

func exception(w http.ResponseWriter, t trap, why string) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	for k, v := range t.header {
		w.Header()[k] = v
	}
	w.WriteHeader(cmp.Or(t.status, http.StatusBadRequest))
	_ = json.NewEncoder(w).Encode(map[string]string{"__type": t.code, "message": why})
}

// wrong returns the exception for a request that is not processed at all.
func (f *fake) wrong(in *wireRequest) (code, why string) {
	if n := len(in.UsageRecords); n < 1 || n > 25 {
		return "ValidationException", fmt.Sprintf("%d records", n)
	}
	for _, r := range in.UsageRecords {
		at := r.time()
		_, month, _ := at.Date()
		closed := time.Date(at.Year(), month+1, 1, 6, 0, 0, 0, time.UTC)
		switch {
		case (in.ProductCode == "") == (r.LicenseArn == ""):
			return "ValidationException", "either a product or a license"
		case (r.CustomerAWSAccountId == "") == (r.CustomerIdentifier == ""):
			return "InvalidCustomerIdentifierException", "either an account or an identifier"
		case r.Quantity == nil || *r.Quantity < 0 || *r.Quantity > math.MaxInt32:
			return "ValidationException", "quantity"
		case len(r.Dimension) < 1 || len(r.Dimension) > 255:
			return "ValidationException", "dimension"
		case strings.HasPrefix(r.Dimension, "no such"):
			return "InvalidUsageDimensionException", r.Dimension
		case at.After(f.now()), !f.now().Before(at.Add(24 * time.Hour)), !f.now().Before(closed):
			return "TimestampOutOfBoundsException", at.String()
		}
	}
	return "", ""
}

func (r *wireRecord) time() time.Time {
	seconds, err := r.Timestamp.Float64()
	if err != nil {
		return time.Time{}
	}
	return time.UnixMilli(int64(seconds * 1000)).UTC()
}

func (f *fake) take(in *wireRequest, t trap) any {
	results, unprocessed := []wireResult{}, []wireRecord{}
	for i, r := range in.UsageRecords {
		if t.skip[i] {
			unprocessed = append(unprocessed, r)
			continue
		}
		k := in.key(r)
		status := "Success"
		if f.refuse != nil {
			status = cmp.Or(f.refuse(r.Dimension), status)
		}
		if status == "Success" {
			if has, there := f.held[k]; there && has != int32(*r.Quantity) {
				status = "DuplicateRecord"
				f.duplicates = append(f.duplicates, k)
			} else {
				f.held[k] = int32(*r.Quantity)
			}
		}
		results = append(results, wireResult{r, fmt.Sprintf("id-%x", len(f.held)), status})
	}
	// AWS promises no order.
	for i, j := 0, len(results)-1; i < j; i, j = i+1, j-1 {
		results[i], results[j] = results[j], results[i]
	}
	return map[string]any{"Results": results, "UnprocessedRecords": unprocessed}
}

func (in *wireRequest) key(r wireRecord) meterKey {
	return meterKey{in.ProductCode + r.LicenseArn, r.CustomerAWSAccountId + r.CustomerIdentifier, r.Dimension, r.time().Truncate(time.Hour)}
}

// doubt notes that nobody was told what came of reports.
func (f *fake) doubt(rows []ledger.Report) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range rows {
		var p struct {
			Hours []wireTelling
		}
		if err := json.Unmarshal(rows[i].Payload, &p); err != nil {
			panic(err)
		}
		for _, h := range p.Hours {
			for _, r := range h.UsageRecords {
				f.doubted[meterKey{h.ProductCode + r.LicenseArn, r.CustomerAWSAccountId + r.CustomerIdentifier, r.Dimension, r.Timestamp}] = r.Quantity
			}
		}
	}
}

// wireTelling is an hour of a payload.
type wireTelling struct {
	ProductCode  string
	UsageRecords []struct {
		Timestamp                                            time.Time
		CustomerAWSAccountId, CustomerIdentifier, LicenseArn string //nolint:revive // as in the payload
		Dimension                                            string
		Quantity                                             int32
	}
}

// lost adds up what nobody was told of, and AWS does not hold.
func (f *fake) lost(dimension string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var sum int64
	for k, n := range f.doubted {
		if _, there := f.held[k]; !there && k.dimension == dimension {
			sum += int64(n)
		}
	}
	return sum
}

// times returns how often it was asked.
func (f *fake) times() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

// billed adds up what AWS holds of a dimension.
func (f *fake) billed(dimension string) int64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var sum int64
	for k, n := range f.held {
		if k.dimension == dimension {
			sum += int64(n)
		}
	}
	return sum
}
