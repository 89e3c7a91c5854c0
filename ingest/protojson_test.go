package ingest

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"reckoner"
)

func TestInt64Forms(t *testing.T) {
	for text, want := range map[string]int64{
		`5`: 5, `"5"`: 5, `5.0`: 5, `5e2`: 500, `"5e2"`: 500, `5E+2`: 500, `50e-1`: 5, `"5.00"`: 5, `0.5e1`: 5, `-0`: 0, `0e5`: 0,
		`9223372036854775807`: 1<<63 - 1, `"-9223372036854775808"`: -1 << 63, `9223372036854775807.0`: 1<<63 - 1,
		`9.223372036854775807e18`: 1<<63 - 1, `-5`: -5, `"\u0035"`: 5,
	} {
		m, err := parseRevert([]byte(`{"amount":`+text+`}`), &Limits{})
		if err != nil || m.amount != want {
			t.Errorf("%s: %d, %v; want %d", text, m.amount, err, want)
		}
	}
	for _, text := range []string{
		`5.5`, `"5.5"`, `" 5"`, `"5 "`, `"+5"`, `"05"`, `true`, `false`, `[]`, `[5]`, `{}`, `""`, `"five"`, `"0x5"`, `"null"`, `".5"`, `"5."`,
		`9223372036854775808`, `-9223372036854775809`, `1e19`, `"1e999999999"`, `1e-1`, `5e-1`, `0.001`, `"Infinity"`, `"NaN"`, `05`, `+5`, `5.`,
	} {
		if m, err := parseRevert([]byte(`{"amount":`+text+`}`), &Limits{}); err == nil || reckoner.CodeOf(err) != reckoner.Invalid {
			t.Errorf("%s: %d, %v; want it refused", text, m.amount, err)
		}
	}
}

func TestNamesAndNulls(t *testing.T) {
	l := DefaultLimits()
	full := map[string]string{
		"snake": `{"org_id":"o","project_id":"p","billing_id":"b","usages":[{"id":"i","customer_id":"c","source":"s","description":"d","type":"t",
			"amount":1,"user_id":"u","metadata":{"k":"v"},"created_at":"2026-01-01T00:00:00Z","updated_at":"2026-01-02T00:00:00Z"}]}`,
		"camel": `{"orgId":"o","projectId":"p","billingId":"b","usages":[{"id":"i","customerId":"c","source":"s","description":"d","type":"t",
			"amount":1,"userId":"u","metadata":{"k":"v"},"createdAt":"2026-01-01T00:00:00Z","updatedAt":"2026-01-02T00:00:00Z"}]}`,
		"escaped": `{"\u006frg_id":"\u006f","project\u0049d":"p","billing_id":"b","usages":[{"id":"i","customer_id":"c","source":"s","description":"d",
			"type":"t","\u0061mount":1,"user_id":"u","metadata":{"\u006b":"\u0076"},"created_at":"2026-01-01T00:00:00\u005a","updatedAt":"2026-01-02T00:00:00Z"}]}`,
	}
	want := fmt.Sprint(createRequest{names{"o", "p", "b"}, []usageMessage{{
		id: "i", customerID: "c", source: "s", description: "d", typ: "t", userID: "u", amount: 1,
		metadata:  []reckoner.Label{{Key: "k", Value: "v"}},
		createdAt: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC), updatedAt: time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC),
	}}})
	for name, body := range full {
		m, err := parseCreate([]byte(body), &l, &scratch{})
		if got := fmt.Sprint(m); err != nil || got != want {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
	for _, body := range []string{
		`{"org_id":null,"usages":[{"id":null,"amount":null,"metadata":null,"created_at":null}]}`,
		`{"ORG_ID":1,"Usages":2,"usages":[{"ID":3,"created-at":4}]}`, // not names of fields
	} {
		if m, err := parseCreate([]byte(body), &l, &scratch{}); err != nil || m.org != "" || len(m.usages) != 1 || m.usages[0].amount != 0 {
			t.Errorf("%s: %v, %v", body, m, err)
		}
	}
	for _, body := range []string{
		`{"org_id":null,"org_id":null}`, `{"org_id":null,"orgId":null}`, `{"x":1,"x":2}`, `{"x":{"y":[{"z":1,"z":1}]}}`,
		`{"usages":[{"metadata":{"k":1,"k":1}}]}`, `{"usages":[{"metadata":{"k":{"l":1,"l":1}}}]}`, `{"usages":[{"userId":"u","user_id":null}]}`,
		`{"org_id":1}`, `{"org_id":{}}`, `{"usages":{}}`, `{"usages":"x"}`, `{"usages":[1]}`, `{"usages":[null]}`, `{"usages":[[]]}`,
		`{"usages":[{"metadata":"x"}]}`, `{"usages":[{"metadata":[1]}]}`, `{"usages":[{"created_at":1767225600}]}`, `{"org_id":"\ud800"}`,
		"{\"org_id\":\"\xff\"}", "{\"org_id\":\"\n\"}", `{"org_id":"\x"}`, `{org_id:"a"}`, `{"org_id":'a'}`, `{"org_id":"a",}`, `{"usages":[{},]}`,
		`{"org_id" "a"}`, `{"org_id":}`, `{"org_id"`, `{"org_id":"a`, `{`, `}`, `"{}"`, `5`, `true`, `{}{}`, `{} x`, `nul`, "\ufeff{}", `{5:1}`, `{1:2}`, `{null:1}`, `{"usages":[{7:1}]}`, `{"usages":[{"metadata":{7:1}}]}`, `{"usages":[{]}`, `{"usages":[}]`,
	} {
		if _, err := parseCreate([]byte(body), &l, &scratch{}); err == nil || reckoner.CodeOf(err) != reckoner.Invalid {
			t.Errorf("%q: %v; want it refused", body, err)
		}
	}
}

func TestTimesAsRFC3339(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-06-01T10:00:00Z":                time.Date(2026, 6, 1, 10, 0, 0, 0, time.UTC),
		"2026-06-01T10:00:00.5+05:30":         time.Date(2026, 6, 1, 4, 30, 0, 5e8, time.UTC),
		"2026-06-01T10:00:00.123456789-00:00": time.Date(2026, 6, 1, 10, 0, 0, 123456789, time.UTC),
		"0001-01-01T00:00:00Z":                {},
	} {
		if got, ok := parseTime(text); !ok || !got.Equal(want) || got.Location() != time.UTC {
			t.Errorf("%s: %s, %v", text, got, ok)
		}
	}
	for _, text := range []string{
		"", "2026-06-01", "2026-06-01T10:00:00", "2026-06-01 10:00:00Z", "2026-06-01T10:00:00,5Z", "2026-06-01T1:00:00Z", "2026-13-01T10:00:00Z",
		"2026-02-30T10:00:00Z", "2026-06-01T24:00:00Z", "2026-06-01T10:00:60Z", "2026-06-01T10:00:00.1234567890Z", "2026-06-01T10:00:00+25:00",
		"20266-06-01T10:00:00Z", " 2026-06-01T10:00:00Z", "2026-06-01t10:00:00z", "2026-06-01T10:00:00.Z",
	} {
		if got, ok := parseTime(text); ok {
			t.Errorf("%q is %s", text, got)
		}
	}
}

func TestMetadata(t *testing.T) {
	l := DefaultLimits()
	metadata := func(text string) ([]reckoner.Label, error) {
		m, err := parseCreate([]byte(`{"usages":[{"metadata":`+text+`}]}`), &l, &scratch{})
		if err != nil {
			return nil, err
		}
		return m.usages[0].metadata, nil
	}
	got, err := metadata(`{"s":"a\"b","i":12345678901234567890123,"f":1.10,"x":-0.0E-7,"b":true,"n":null,"l":[ 1.0 , "\u0041" ],"o":{"b": 1,"a":{}},"":""}`)
	want := []reckoner.Label{
		{Key: ""}, {Key: "b", Value: "true", JSON: true}, {Key: "f", Value: "1.10", JSON: true},
		{Key: "i", Value: "12345678901234567890123", JSON: true}, {Key: "l", Value: `[1.0,"A"]`, JSON: true}, {Key: "n", Value: "null", JSON: true},
		{Key: "o", Value: `{"b":1,"a":{}}`, JSON: true}, {Key: "s", Value: `a"b`}, {Key: "x", Value: "-0.0E-7", JSON: true},
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	nested := func(n int) string { return `{"k":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}` }
	keys := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, `,"k%d":1`, i)
		}
		return "{" + b.String()[1:] + "}"
	}
	for name, c := range map[string]struct{ good, bad string }{
		"levels": {nested(metadataDepthMax), nested(metadataDepthMax + 1)},
		"far":    {`{"k":"` + strings.Repeat("[", 50) + `\"]"}`, nested(200_000)},
		"keys":   {keys(l.MetadataKeysMax), keys(l.MetadataKeysMax + 1)},
		"bytes":  {`{"k":"` + strings.Repeat("x", l.MetadataBytesMax-3) + `"}`, `{"k":"` + strings.Repeat("x", l.MetadataBytesMax-2) + `"}`},
	} {
		if _, err := metadata(c.good); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := metadata(c.bad); reckoner.CodeOf(err) != reckoner.Invalid || err == nil || len(err.Error()) > 500 {
			t.Errorf("%s: %.600v", name, err)
		}
	}
}
