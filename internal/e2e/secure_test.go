package e2e_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"reckoner/internal/embedded/broker"
	"reckoner/internal/embedded/broker/brokertest"
	"reckoner/internal/embedded/chdb"
	"reckoner/internal/embedded/chdb/chdbtest"
	"reckoner/internal/tlsfile"
	"reckoner/internal/tlsfile/tlstest"
)

const (
	plantedKafka  = "planted-kafka-password"
	plantedLedger = "planted-ledger-password"
)

// TestGuardedInstallation runs the processes against engines that encrypt and ask for a certificate and a user, and whose own
// port does: usage goes in, a total comes out, and whoever lacks one of the proofs is refused. No password is in any output.
func TestGuardedInstallation(t *testing.T) {
	t.Parallel()
	a := tlstest.NewAuthority(t, "authority")
	cert, key := a.Files(t, "reckoner")
	server, err := tlsfile.Server{Cert: cert, Key: key, ClientCA: a.File}.Config()
	if err != nil {
		t.Fatal(err)
	}
	b := brokertest.Open(t, broker.Options{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", TLS: server,
		Users: []broker.User{{Mechanism: "SCRAM-SHA-512", Name: "reckoner", Password: plantedKafka}},
	})
	engine := chdbtest.Open(t, chdb.Options{Dir: t.TempDir()})
	front := httptest.NewUnstartedServer(withPassword(engine.Handler()))
	front.Listener = tls.NewListener(front.Listener, server)
	front.Start()
	t.Cleanup(front.Close)
	open := httptest.NewServer(engine.Handler()) // for the test alone
	t.Cleanup(open.Close)
	ledger := strings.Replace(front.URL, "http://", "https://default:"+plantedLedger+"@", 1)
	passwordFile := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(passwordFile, []byte(plantedKafka+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}

	i := newInstallation(t,
		setting("kafka.brokers", b.Addr()), setting("kafka.security_protocol", "sasl_ssl"), setting("kafka.ca_file", a.File), setting("kafka.cert_file", cert),
		setting("kafka.key_file", key), setting("kafka.sasl_username", "reckoner"), setting("kafka.sasl_password_file", passwordFile), setting("kafka.partitions", 2),
		setting("clickhouse.url", ledger), setting("clickhouse.ca_file", a.File), setting("clickhouse.cert_file", cert), setting("clickhouse.key_file", key),
		setting("tls.cert_file", cert), setting("tls.key_file", key), setting("tls.client_ca_file", a.File), setting("log.level", "debug"),
		setting("catalog.file", demoCatalog(t)), setting("catalog.auto_accounts", demoOrg))
	var outputs []*process
	begin := func(ops string, args ...string) {
		t.Helper()
		p := start(t, i.env, append(args, "--ops-listen", ops)...)
		i.ready(t, p, ops)
		outputs = append(outputs, p)
	}
	status, migrated := run(t, i.env, "migrate")
	if status != 0 {
		t.Fatalf("migrate: %s", migrated.log.String())
	}
	begin(i.ops, "ingest", "--listen", i.api)
	begin(freeAddress(t), "aggregate", "--data-dir", i.dir)

	const account, id = "9c1e0000-0000-4000-8000-0000000000aa", "9c1e0000-0000-4000-8000-0000000000ab"
	known := tlsfile.Client{CA: a.File, Cert: cert, Key: key}
	status, body := postOver(t, known, i.api, account, id)
	if status != http.StatusOK {
		t.Fatalf("POST: %d %s", status, body)
	}
	eventually(t, time.Minute, func() string {
		_, total := get(open.URL + "/?query=" + url.QueryEscape("SELECT quantity FROM reckoner.account_totals WHERE account_id = '"+account+"'"))
		if strings.TrimSpace(total) != "2" {
			return "the total is " + total
		}
		return ""
	})
	if status, _ := postOver(t, tlsfile.Client{CA: a.File}, i.api, account, id); status != 0 {
		t.Errorf("without a certificate: %d", status)
	}
	status, config := run(t, i.env, "config")
	if status != 0 || !strings.Contains(config.out.String(), "kafka.security_protocol") {
		t.Errorf("config: %d %s", status, config.log.String())
	}
	outputs = append(outputs, config, migrated)
	_, metrics := get("http://" + i.ops + "/metrics")
	for _, p := range outputs {
		wantNoSecret(t, p.out.String()+p.log.String())
	}
	wantNoSecret(t, metrics)

	wrongFile := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrongFile, []byte("another"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, wrong := range map[string]string{
		"a wrong Kafka password":      setting("kafka.sasl_password_file", wrongFile),
		"a wrong ClickHouse password": setting("clickhouse.url", strings.Replace(ledger, plantedLedger, "another", 1)),
	} {
		p := start(t, append(i.env, wrong), "migrate")
		eventually(t, time.Minute, func() string {
			if text := p.log.String(); !strings.Contains(strings.ToLower(text), "authenticat") {
				return name + " is not told: " + text
			}
			return ""
		})
		wantNoSecret(t, p.log.String())
		p.kill(t)
	}
}

// TestDevReportsWhereItsPortEncrypts: the receiver that is built in is reached although the reporter has no certificate.
func TestDevReportsWhereItsPortEncrypts(t *testing.T) {
	t.Parallel()
	a := tlstest.NewAuthority(t, "authority")
	cert, key := a.Files(t, "reckoner")
	i := newInstallation(t, patient(), setting("tls.cert_file", cert), setting("tls.key_file", key), setting("tls.client_ca_file", a.File))
	i.dev(t)
	known := tlsfile.Client{CA: a.File, Cert: cert, Key: key}
	status, body := sendOver(t, known, "https://"+i.api+"/admin/v1/reports/run", []byte("{}"))
	var run struct {
		Summary struct{ Installations, Accepted, Unchanged, Failed, Refused int }
	}
	if err := json.Unmarshal([]byte(body), &run); err != nil || status != http.StatusOK {
		t.Fatalf("%d %s", status, body)
	}
	if s := run.Summary; s.Accepted+s.Unchanged != s.Installations || s.Installations == 0 {
		t.Errorf("%s", body)
	}
}

// withPassword asks for the user and the password that the URL has, as a server with users does.
func withPassword(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, password, ok := r.BasicAuth()
		if !ok {
			password = r.Header.Get("X-ClickHouse-Key")
		}
		if password != plantedLedger {
			w.Header().Set("X-ClickHouse-Exception-Code", "516")
			w.WriteHeader(http.StatusForbidden)
			_, _ = io.WriteString(w, "Code: 516. DB::Exception: default: Authentication failed. (AUTHENTICATION_FAILED)")
			return
		}
		r.Header.Del("Authorization")
		r.Header.Del("X-ClickHouse-Key")
		h.ServeHTTP(w, r)
	})
}

func wantNoSecret(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{plantedKafka, plantedLedger} {
		if at := strings.Index(text, secret); at >= 0 {
			t.Errorf("%s is in the output: …%s", secret, text[max(at-200, 0):at+len(secret)])
		}
	}
}

// postOver posts a usage of 2 over TLS. No answer is status 0.
func postOver(t *testing.T, c tlsfile.Client, api, account, id string) (int, string) {
	t.Helper()
	text, err := json.Marshal(usages(m{"id": id, "amount": 2}))
	if err != nil {
		t.Fatal(err)
	}
	return sendOver(t, c, "https://"+api+createPath(account), text)
}

// sendOver posts a body as the demo's credential.
func sendOver(t *testing.T, c tlsfile.Client, url string, body []byte) (int, string) {
	t.Helper()
	config, err := c.Config()
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{TLSClientConfig: config}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.SetBasicAuth("demo", "demo-secret")
	res, err := (&http.Client{Transport: transport, Timeout: 30 * time.Second}).Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err.Error()
	}
	return res.StatusCode, string(answer)
}
