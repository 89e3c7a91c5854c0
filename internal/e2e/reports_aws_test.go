package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// awsBooks takes every record, and adds up what AWS would bill.
type awsBooks struct {
	mu    sync.Mutex
	held  map[string]int64 // by dimension and hour
	calls int
	wrong []string
}

func (b *awsBooks) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	var in struct {
		UsageRecords []struct {
			Timestamp                                   float64
			Dimension, CustomerAWSAccountId, LicenseArn string //nolint:revive // as on the wire
			Quantity                                    int64
		}
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil || r.Header.Get("X-Amz-Target") != "AWSMPMeteringService.BatchMeterUsage" ||
		!strings.Contains(r.Header.Get("Authorization"), "/eu-west-1/aws-marketplace/aws4_request") {
		b.wrong = append(b.wrong, fmt.Sprint(err, r.Header))
	}
	results := []any{}
	for _, one := range in.UsageRecords {
		k := fmt.Sprint(one.Dimension, int64(one.Timestamp))
		if n, there := b.held[k]; there && n != one.Quantity {
			b.wrong = append(b.wrong, fmt.Sprintf("%s: %d and %d", k, n, one.Quantity))
		}
		b.held[k] = one.Quantity
		results = append(results, m{"Status": "Success", "UsageRecord": one, "MeteringRecordId": k})
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(m{"Results": results, "UnprocessedRecords": []any{}})
}

func (b *awsBooks) billed() (units int64, hours int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, n := range b.held {
		units += n
	}
	return units, len(b.held)
}

// TestReportsToAWS takes the way from usage over HTTP to records at AWS, by the binary and on the real engines: whole units of
// every hour that ended, once; and every report can be proven.
func TestReportsToAWS(t *testing.T) {
	t.Parallel()
	books := &awsBooks{held: map[string]int64{}}
	server := httptest.NewServer(books)
	t.Cleanup(server.Close)
	r := newReported(t, 1, 2*time.Hour, "AWS_ACCESS_KEY_ID=AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY=hunter2", "AWS_EC2_METADATA_DISABLED=true")
	from := time.Now().UTC().Add(-5 * time.Hour).Truncate(time.Hour)
	at, rest, _ := strings.Cut(r.catalog, "- {id: icfg_0,")
	_, rest, _ = strings.Cut(rest, "\n")
	r.catalog = at + fmt.Sprintf(`- id: icfg_0
  target: aws-marketplace
  account: %s
  base_url: %q
  aws: {license_arn: "arn:aws:license-manager::294406891311:license:l-1", region: eu-west-1, customer_account_id: "123456789012",
    from: %s, dimensions: [{meter: credit, dimension: credit_1k, unit: 1000}]}
`, r.accounts[0], server.URL, from.Format(time.RFC3339)) + rest
	r.processes(t)
	r.use(t, 0, 1700, from.Add(20*time.Minute))
	r.use(t, 0, 900, from.Add(2*time.Hour))
	r.use(t, 0, 5000, from.Add(-2*time.Hour)) // before it is reported at all
	if out := r.once(t); !strings.Contains(out, "1 accepted") {
		t.Errorf("the run says %s", out)
	}
	units, hours := books.billed()
	if units != 2 || hours < 4 || len(books.wrong) > 0 {
		t.Errorf("AWS has %d units of %d hours: %v", units, hours, books.wrong)
	}
	r.use(t, 0, 10_000, from.Add(time.Hour)) // late: it goes out with an hour to come
	out := r.once(t)
	more, now := books.billed()
	if now == hours && (more != units || !strings.Contains(out, "1 unchanged")) || now > hours && more != 12 {
		t.Errorf("AWS has %d units of %d hours, and then %d of %d: %s", units, hours, more, now, out)
	}
	if len(books.wrong) > 0 {
		t.Error(books.wrong)
	}
	// Every report is made again from what the ledger had at its position, without what came later.
	if out := r.command(t, 0, "check"); !strings.Contains(out, "each is what the ledger gives at its position") {
		t.Errorf("check says %s", out)
	}
	if out := r.command(t, 0, "status"); !strings.Contains(out, "aws-marketplace  accepted") || !strings.Contains(out, "0 without an address") {
		t.Errorf("status says %s", out)
	}
}
