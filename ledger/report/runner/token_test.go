package runner_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"reckoner/ledger"
	"reckoner/ledger/report/partner"
	"reckoner/ledger/report/runner"
)

// withToken is a document of one installation, whose token is where words say.
func withToken(words string) string {
	return strings.Replace(many(1), "token_env: TOKEN_000", words, 1)
}

func TestTokens(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return "token_file: " + p
	}
	env := map[string]string{
		"GOOD": "\t s3cret-token \n", "EMPTY": " \n", "LINES": "s3cret-token\r\nX-Evil: 1", "WORDS": "s3cret token", "NUL": "s3cret\x00token",
		"RECKONER_CLICKHOUSE_URL": "s3cret-token", "reckoner_x": "s3cret-token",
	}
	for _, c := range []struct{ words, says string }{
		{"token_env: GOOD", ""},
		{file("good", "s3cret-token\n"), ""},
		{"token_env: NONE", "environment variable NONE"},
		{"token_env: EMPTY", "is empty"},
		{"token_env: LINES", "no header can carry"},
		{"token_env: WORDS", "no header can carry"},
		{"token_env: NUL", "no header can carry"},
		{"token_env: RECKONER_CLICKHOUSE_URL", "Reckoner's own"},
		{"token_env: reckoner_x", "Reckoner's own"},
		{file("empty", "\n"), "is empty"},
		{file("large", strings.Repeat("s3cret-token", 2000)), "more than 16384 bytes"},
		{"token_file: " + dir + "/none", "no such file"},
	} {
		bubble(t, func(t *testing.T) {
			b := newBench(t, withToken(c.words), func(o *runner.Options) { o.Getenv = func(name string) string { return env[name] } })
			s := b.run(t, runner.Request{})
			if c.says == "" {
				if s.Accepted != 1 || len(b.partner.all) == 0 || b.partner.all[0].token != "s3cret-token" {
					t.Errorf("%s: %+v, %+v", c.words, s, b.partner.all)
				}
				return
			}
			if s.Unsendable != 1 || len(s.Errors) != 1 || !strings.Contains(s.Errors[0].What, c.says) || len(b.partner.all)+len(b.rows)+len(b.claims) > 0 {
				t.Errorf("%s: %+v, want %q and nothing sent", c.words, s, c.says)
			}
			if said := fmt.Sprint(s, b.log.String()); strings.Contains(said, "s3cret") {
				t.Errorf("%s: the token is told: %s", c.words, said)
			}
		})
	}
}

// A token that is exchanged between two attempts is used for the second.
func TestTokenIsReadForEachAttempt(t *testing.T) {
	bubble(t, func(t *testing.T) {
		token := "old"
		b := newBench(t, many(1), func(o *runner.Options) { o.Getenv = func(string) string { return token } })
		b.partner.answer = func(_ call, nth int) (*http.Response, error) {
			if nth == 1 {
				token = "new"
				return status(http.StatusServiceUnavailable, ""), nil
			}
			return nil, nil
		}
		if s := b.run(t, runner.Request{}); s.Accepted != 1 || b.partner.all[0].token != "old" || b.partner.all[1].token != "new" {
			t.Errorf("%+v, %+v", s, b.partner.all)
		}
	})
}

// A partner, or what is on the way to it, may repeat the token. It is in no row, log line, metric or error.
func TestTokenIsNeverKept(t *testing.T) {
	const planted = "pl4nted-s3cret"
	registry := prometheus.NewRegistry()
	for _, answer := range []func(context.Context) (*http.Response, error){
		func(context.Context) (*http.Response, error) {
			return status(http.StatusForbidden, "who is "+planted+"?"), nil
		},
		func(context.Context) (*http.Response, error) {
			return status(http.StatusBadRequest, strings.Repeat("x", 4<<10-9)+planted), nil // cut within it
		},
		func(context.Context) (*http.Response, error) {
			return nil, fmt.Errorf("proxy: Bearer %s refused", planted)
		},
		func(context.Context) (*http.Response, error) { return status(http.StatusCreated, planted), nil },
		func(context.Context) (*http.Response, error) {
			return status(http.StatusFound, "", "Location", "https://evil.test/"+planted), nil
		},
	} {
		bubble(t, func(t *testing.T) {
			b := newBench(t, many(1), func(o *runner.Options) {
				o.Getenv = func(string) string { return planted }
				o.DeliveryTimeout, o.Registerer = 20*time.Second, prometheus.WrapRegistererWith(prometheus.Labels{"bench": t.Name() + fmt.Sprint(time.Now().UnixNano(), &answer)}, registry)
			})
			b.partner.answer = func(call, int) (*http.Response, error) { return answer(t.Context()) }
			s := b.run(t, runner.Request{})
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			said := fmt.Sprint(s, b.log.String(), families)
			for _, r := range b.reports("") {
				said += fmt.Sprint(r.Response, r.Error, string(r.Payload), string(r.Inputs))
			}
			if strings.Contains(said, planted[:6]) {
				t.Errorf("the token is told: %s", said)
			}
			if rows := b.reports(""); len(rows) == 0 || rows[0].Status == ledger.ReportSending {
				t.Errorf("nothing came of it: %s", statuses(rows))
			}
		})
	}
}

// leaky is a target that does not keep the port's promise.
type leaky struct{ partner.Target }

func (leaky) Deliver(_ context.Context, d *partner.Delivery) partner.Answer {
	return partner.Answer{
		Verdict: partner.Final, Code: 400, Err: fmt.Errorf("sent with %s", d.Token),
		Body: d.Token + strings.Repeat("x", partner.ResponseBytesMax-len(d.Token)-8) + d.Token,
	}
}

func TestTokenIsNotKeptForALeakyTarget(t *testing.T) {
	bubble(t, func(t *testing.T) {
		b := newBench(t, many(1), func(o *runner.Options) {
			o.Targets[0] = leaky{o.Targets[0]}
			o.Getenv = func(string) string { return "pl4nted-s3cret" }
		})
		s := b.run(t, runner.Request{})
		rows := b.reports("")
		if said := fmt.Sprint(s, b.log.String(), rows[0].Response, rows[0].Error); strings.Contains(said, "pl4nted") || s.Refused != 1 {
			t.Errorf("the token is told: %s", said)
		}
	})
}
