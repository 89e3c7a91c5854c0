package catalog

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"reckoner"
)

const marketAccount = "9c1e0000-0000-4000-8000-000000000001"

func anInstallation(id, dimension, meter string) *Installation {
	return &Installation{ID: id, Target: TargetAWSMarketplace, AccountID: marketAccount, AWS: &Marketplace{
		LicenseARN: "arn:aws:license-manager::294406891311:license:l-1", Region: "us-east-1", CustomerAccountID: "012345678901",
		From: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), Dimensions: []Dimension{{Meter: meter, Dimension: dimension, Unit: reckoner.Units(1000)}},
	}}
}

// market is a log with a meter, an account and an installation that reports the one of the other.
func market(t *testing.T) *feeder {
	f := newFeeder()
	for _, e := range []Entity{
		&Organization{ID: "o1"}, &Account{ID: marketAccount, OrganizationID: "o1"}, &Meter{Meter: reckoner.Meter{Name: "calls", Unit: "calls", Type: reckoner.Interval}},
		anInstallation("i1", "requests", "calls"),
	} {
		if d := f.feed(t, Put(e, 0, "")); d.Result != Applied {
			t.Fatal(d.Err())
		}
	}
	return f
}

func TestAMarketplaceIsWrittenOneWay(t *testing.T) {
	in := anInstallation("i1", "requests", "calls")
	want := `{"id":"i1","target":"aws-marketplace","account":"` + marketAccount + `","day_ends_at":"00:00","aws":{` +
		`"license_arn":"arn:aws:license-manager::294406891311:license:l-1","region":"us-east-1","customer_account_id":"012345678901",` +
		`"from":"2026-01-01T00:00:00Z","dimensions":[{"meter":"calls","dimension":"requests","unit":"1000"}]}}`
	if got := string(JSON(in)); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	if got := in.AWS.Start(&in.AWS.Dimensions[0]); !got.Equal(in.AWS.From) {
		t.Errorf("starts at %s", got)
	}
	if in.AWS.Dimensions[0].From = in.AWS.From.Add(time.Hour); !in.AWS.Start(&in.AWS.Dimensions[0]).After(in.AWS.From) {
		t.Error("a dimension's own start is not looked at")
	}
}

// What older readers could not read names rules that they do not know; all else is written as before.
func TestOnlyMarketplacesNeedTheSecondRules(t *testing.T) {
	for want, e := range map[string]Entity{
		`{"rules":2,`: anInstallation("i1", "requests", "calls"),
		`{"rules":1,`: &Installation{ID: "i1", Target: TargetVercel, AccountID: marketAccount},
	} {
		ch := Put(e, 0, "")
		_, value, err := ch.Encode()
		if err != nil || !strings.HasPrefix(string(value), want) {
			t.Errorf("%s (%v), want %s", value, err, want)
		}
	}
	// By the first rules it was refused, and still is, whoever reads it.
	for _, entity := range []string{
		strings.TrimSuffix(string(JSON(anInstallation("i2", "d", "calls"))), "}") + "}",
		`{"id":"i2","account":"` + marketAccount + `","aws":null}`,
	} {
		f := market(t)
		d := f.raw(t, []byte("installation/i2"), fmt.Appendf(nil,
			`{"rules":1,"change":"6a0e0000-0000-4000-8000-000000000001","kind":"installation","id":"i2","expect":0,"entity":%s}`, entity))
		if d.Result != Unfit || !strings.Contains(d.Err().Error(), "needs rules 2") {
			t.Errorf("%s: %s %v", entity, d.Result, d.Err())
		}
	}
}

func TestWhatAMarketplaceNeedsStays(t *testing.T) {
	f := market(t)
	level := &Meter{Meter: reckoner.Meter{Name: "calls", Unit: "calls", Type: reckoner.Total}}
	for _, c := range []struct {
		change Change
		result Result
		says   string
	}{
		{Put(level, f.now(Ref{MeterKind, "calls"}), ""), CheckFailed, `installation "i1" reports it to AWS`},
		{Change{Kind: MeterKind, Key: "calls", Expect: f.now(Ref{MeterKind, "calls"})}, InUse, `in use by installation "i1"`},
		{Put(anInstallation("i2", "requests", "calls"), 0, ""), CheckFailed, `installation "i1" reports dimension "requests" of the same customer`},
		{Put(anInstallation("i2", "other", "cals"), 0, ""), MissingReference, `no meter has name "cals"`},
	} {
		if d := f.feed(t, c.change); d.Result != c.result || !strings.Contains(d.Err().Error(), c.says) {
			t.Errorf("%s %v, want %s %s", d.Result, d.Err(), c.result, c.says)
		}
	}
	if d := f.feed(t, Put(anInstallation("i2", "other", "calls"), 0, "")); d.Result != Applied {
		t.Error(d.Err())
	}
	for _, id := range []string{"i1", "i2"} {
		f.feed(t, Change{Kind: InstallationKind, Key: id, Expect: f.now(Ref{InstallationKind, id})})
	}
	if d := f.feed(t, Put(level, f.now(Ref{MeterKind, "calls"}), "")); d.Result != Applied {
		t.Error(d.Err())
	}
}
