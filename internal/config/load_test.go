package config_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"reckoner/internal/config"
)

func flags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	fs := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.AddFlags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return fs
}

func TestFlagsThenEnvironmentThenFileThenDefaults(t *testing.T) {
	file := write(t, "listen: 1.1.1.1:1\nkafka: {brokers: [a:1, b:2], partitions: 8}\ncatalog:\n")
	own := map[string]string{"kafka.partitions": "4", "data_dir": "/own"}
	var none []string
	for _, c := range []struct {
		name string
		src  config.Source
		get  func(*config.Settings) string
		want string
	}{
		{"flag before environment", config.Source{File: file, Flags: flags(t, "--listen=3.3.3.3:3"), Environ: []string{"RECKONER_LISTEN=2.2.2.2:2"}}, listen, "3.3.3.3:3"},
		{"environment before file", config.Source{File: file, Flags: flags(t), Environ: []string{"RECKONER_LISTEN=2.2.2.2:2"}}, listen, "2.2.2.2:2"},
		{"file before defaults", config.Source{File: file, Flags: flags(t), Environ: none}, listen, "1.1.1.1:1"},
		{"defaults", config.Source{File: write(t, "")}, listen, "127.0.0.1:7400"},
		{"a list in the file", config.Source{File: file}, brokers, "a:1|b:2"},
		{"a list with commas", config.Source{File: file, Environ: []string{"RECKONER_KAFKA_BROKERS=c:3, d:4"}}, brokers, "c:3|d:4"},
		{"a command's own default", config.Source{File: write(t, ""), Defaults: own}, dataDir, "/own"},
		{"the file before it", config.Source{File: file, Defaults: own}, partitions, "8"},
		{"file named by a flag", config.Source{Flags: flags(t, "--config="+file)}, listen, "1.1.1.1:1"},
		{"file named by the environment", config.Source{Environ: []string{"RECKONER_CONFIG=" + file}}, listen, "1.1.1.1:1"},
		{"no file", config.Source{}, listen, "127.0.0.1:7400"},
		{"one that is nobody's", config.Source{Environ: []string{"LISTEN=9.9.9.9:9", "RECKONER_LIBCHDB=/x", "RECKONER_CRASH_AT=x"}}, listen, "127.0.0.1:7400"},
	} {
		s, err := config.Load(c.src)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if got := c.get(s); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func listen(s *config.Settings) string     { return s.Listen }
func dataDir(s *config.Settings) string    { return s.DataDir }
func brokers(s *config.Settings) string    { return strings.Join(s.Kafka.Brokers, "|") }
func partitions(s *config.Settings) string { return strconv.Itoa(s.Kafka.Partitions) }

func TestDurationsAndSizes(t *testing.T) {
	s, err := config.Load(config.Source{Environ: []string{
		"RECKONER_INGEST_MAX_AGE=1d12h", "RECKONER_INGEST_BODY_BYTES_MAX=2 MiB", "RECKONER_SHUTDOWN_TIMEOUT=1500ms",
		"RECKONER_AGGREGATOR_STATE_CACHE_BYTES=1073741824",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if s.Ingest.MaxAge != 36*time.Hour || s.Ingest.BodyBytesMax != 2<<20 || s.Shutdown.Timeout != 1500*time.Millisecond ||
		s.Aggregator.StateCacheBytes != 1<<30 {
		t.Errorf("%+v %+v", s.Ingest, s.Shutdown)
	}
	for _, url := range []string{"", "https://partner.example/api", "http://127.0.0.1:7400/partner", "http://[::1]:1", "http://localhost:1"} {
		s, err := config.Load(config.Source{Environ: []string{"RECKONER_REPORT_DEFAULT_BASE_URL=" + url}})
		if err != nil || s.Report.DefaultBaseURL != url {
			t.Errorf("report.default_base_url %q: %v", url, err)
		}
	}
	s, err = config.Load(config.Source{File: write(t, "ingest: {max_age: 0}")})
	if err != nil || s.Ingest.MaxAge != 0 {
		t.Errorf("max_age 0: %v, %v", s, err)
	}
}

// Every value that is refused is named with its key, and with what would be right.
func TestWhatIsWrongIsNamed(t *testing.T) {
	for _, c := range []struct{ key, value, says string }{
		{"listen", "7400", "HOST:PORT"},
		{"listen", "h:70000", "0 to 65535"},
		{"log.level", "loud", "debug, info, warn, error"},
		{"kafka.brokers", "a:1,b", `"b" is not HOST:PORT`},
		{"kafka.brokers", "", "HOST:PORT"},
		{"kafka.partitions", "0", "from 1 to 4096"},
		{"kafka.partitions", "many", "not a whole number"},
		{"kafka.client_id", "", "empty"},
		{"clickhouse.url", "mysql://h:1", "clickhouse://"},
		{"ingest.max_age", "-1s", "out of bounds"},
		{"ingest.max_age", "35", "not a duration"},
		{"ingest.max_age", "d", "not a duration"},
		{"ingest.max_age", "200000000d", "not a duration"},
		{"ingest.max_age", "1d25h", "not a duration"},
		{"ingest.outcome_timeout", "31s", "to 30s"},
		{"ingest.body_bytes_max", "8MB", "not a number of bytes"},
		{"ingest.body_bytes_max", "-1", "not a number of bytes"},
		{"ingest.body_bytes_max", "99999999999GiB", "not a number of bytes"},
		{"ingest.usages_max", "1e3", "not a whole number"},
		{"health.stall_after", "", "not a duration"},
		{"report.every", "999ms", "from 1s to 1d"},
		{"report.default_base_url", "http://partner.example", "want https"},
		{"report.default_base_url", "https://u:p@partner.example", "not such a URL"},
		{"report.default_base_url", "partner.example", "not such a URL"},
	} {
		env := strings.ToUpper("RECKONER_" + strings.ReplaceAll(c.key, ".", "_"))
		_, err := config.Load(config.Source{Environ: []string{env + "=" + c.value}})
		if err == nil {
			t.Errorf("%s=%q is taken", c.key, c.value)
			continue
		}
		for _, want := range []string{c.key + ": ", `"` + c.value + `"`, env, c.says, "want "} {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%s=%q: %v: does not say %q", c.key, c.value, err, want)
			}
		}
	}
}

func TestWhatIsWrongIsToldAtOnce(t *testing.T) {
	file := write(t, "lissten: x\nkafka: 5\ningest: {max_aeg: 1h, usages_max: {a: 1}}\n")
	_, err := config.Load(config.Source{File: file, Environ: []string{"RECKONER_LISTEN=x", "RECKONER_INGEST_MAXAGE=5m"}})
	if err == nil {
		t.Fatal("taken")
	}
	for _, want := range []string{
		"no setting is named lissten: did you mean listen?",
		`kafka is a section, and has the value "5": write its settings below it, such as kafka.brokers`,
		"no setting is named ingest.max_aeg: did you mean ingest.max_age?",
		"no setting is named ingest.usages_max.a",
		"RECKONER_INGEST_MAXAGE: no setting has that name: did you mean RECKONER_INGEST_MAX_AGE?",
		`listen: "x"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\ndoes not say %q", err, want)
		}
	}
}

// A section that has a value is told once, and not as so many wrong settings.
func TestASectionIsNoSetting(t *testing.T) {
	for _, text := range []string{"ingest: 5", "ingest: ''", "ingest: [a, b]", "ingest: yes"} {
		_, err := config.Load(config.Source{File: write(t, text+"\n")})
		if err == nil || !strings.Contains(err.Error(), "ingest is a section") || !strings.Contains(err.Error(), "ingest.max_age") ||
			strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestSettingsThatDoNotAgree(t *testing.T) {
	for _, c := range [][]string{
		{"RECKONER_KAFKA_REPLICATION_FACTOR=2", "RECKONER_KAFKA_MIN_INSYNC_REPLICAS=3"},
		{"RECKONER_INGEST_BODY_BYTES_MAX=128MiB"},
		{"RECKONER_AGGREGATOR_RETRY_BACKOFF_MIN=1m"},
		{"RECKONER_AGGREGATOR_FLUSH_INTERVAL=10ms"},
		{"RECKONER_REPORT_RETRY_BACKOFF_MIN=2m"},
		{"RECKONER_REPORT_DELIVERY_TIMEOUT=1s"},
	} {
		if s, err := config.Load(config.Source{Environ: c}); err == nil {
			t.Errorf("%v: %+v", c, s)
		}
	}
}

// What would protect nothing is refused, not ignored; what protects is taken.
func TestEncryptionAndUsersAgree(t *testing.T) {
	sasl := []string{"RECKONER_KAFKA_SECURITY_PROTOCOL=sasl_ssl", "RECKONER_KAFKA_SASL_USERNAME=u"}
	for name, c := range map[string]struct {
		env  []string
		want string // empty: it is taken
	}{
		"API":                              {[]string{"RECKONER_TLS_CERT_FILE=c", "RECKONER_TLS_KEY_FILE=k", "RECKONER_TLS_CLIENT_CA_FILE=a"}, ""},
		"API: no key":                      {[]string{"RECKONER_TLS_CERT_FILE=c"}, "tls.key_file"},
		"API: clients without encryption":  {[]string{"RECKONER_TLS_CLIENT_CA_FILE=a"}, "tls.cert_file"},
		"Kafka: encrypted":                 {[]string{"RECKONER_KAFKA_SECURITY_PROTOCOL=ssl", "RECKONER_KAFKA_CA_FILE=a", "RECKONER_KAFKA_CERT_FILE=c", "RECKONER_KAFKA_KEY_FILE=k"}, ""},
		"Kafka: no certificate":            {[]string{"RECKONER_KAFKA_SECURITY_PROTOCOL=ssl", "RECKONER_KAFKA_KEY_FILE=k"}, "kafka.cert_file"},
		"Kafka: authority in the clear":    {[]string{"RECKONER_KAFKA_CA_FILE=a"}, "ssl or sasl_ssl"},
		"Kafka: user":                      {append(sasl, "RECKONER_KAFKA_SASL_PASSWORD=p"), ""},
		"Kafka: user, password in a file":  {append(sasl, "RECKONER_KAFKA_SASL_PASSWORD_FILE=f"), ""},
		"Kafka: user without a password":   {sasl, "kafka.sasl_password_file"},
		"Kafka: two passwords":             {append(sasl, "RECKONER_KAFKA_SASL_PASSWORD=p", "RECKONER_KAFKA_SASL_PASSWORD_FILE=f"), "give one of them"},
		"Kafka: password in the clear":     {[]string{"RECKONER_KAFKA_SECURITY_PROTOCOL=sasl_plaintext", "RECKONER_KAFKA_SASL_USERNAME=u", "RECKONER_KAFKA_SASL_PASSWORD=p", "RECKONER_KAFKA_SASL_MECHANISM=plain"}, "sasl_ssl"},
		"Kafka: no name":                   {[]string{"RECKONER_KAFKA_SECURITY_PROTOCOL=sasl_ssl", "RECKONER_KAFKA_SASL_PASSWORD=p"}, "kafka.sasl_username"},
		"Kafka: user that nobody asks for": {[]string{"RECKONER_KAFKA_SASL_USERNAME=u"}, "of no use"},
		"ClickHouse: encrypted":            {[]string{"RECKONER_CLICKHOUSE_URL=https://h", "RECKONER_CLICKHOUSE_CA_FILE=a"}, ""},
		"ClickHouse: native, encrypted":    {[]string{"RECKONER_CLICKHOUSE_URL=clickhouse://h?secure=true", "RECKONER_CLICKHOUSE_CA_FILE=a"}, ""},
		"ClickHouse: in the clear":         {[]string{"RECKONER_CLICKHOUSE_CA_FILE=a"}, "https://"},
		"ClickHouse: no key":               {[]string{"RECKONER_CLICKHOUSE_URL=https://h", "RECKONER_CLICKHOUSE_CERT_FILE=c"}, "clickhouse.key_file"},
	} {
		_, err := config.Load(config.Source{Environ: c.env})
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

func TestFilesThatAreNone(t *testing.T) {
	for _, text := range []string{"listen: [", "- a", "listen: a:1\nlisten: b:1", "1: 2", "\x00"} {
		if s, err := config.Load(config.Source{File: write(t, text)}); err == nil {
			t.Errorf("%q: %+v", text, s)
		}
	}
	if _, err := config.Load(config.Source{File: t.TempDir() + "/none.yaml"}); err == nil {
		t.Error("a file that was named and is not there is taken")
	}
}

func TestPrintShowsOriginsAndNoSecret(t *testing.T) {
	const secret = "hunter2"
	for _, url := range []string{
		"http://u:" + secret + "@h:8123/db",
		"clickhouse://h:9000?password=" + secret,
		"http://h:8123?Access_Token=" + secret,
	} {
		s, err := config.Load(config.Source{Flags: flags(t, "--listen=:1"), Environ: []string{"RECKONER_CLICKHOUSE_URL=" + url}})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		if err := s.Print(&b); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.String(), secret) || s.ClickHouse.URL != url {
			t.Errorf("%s: %s", url, b.String())
		}
		for _, want := range []string{"--listen", "RECKONER_CLICKHOUSE_URL", "default"} {
			if !strings.Contains(b.String(), want) {
				t.Errorf("does not say %q:\n%s", want, b.String())
			}
		}
	}
	s, err := config.Load(config.Source{Environ: []string{
		"RECKONER_KAFKA_SECURITY_PROTOCOL=sasl_ssl", "RECKONER_KAFKA_SASL_USERNAME=u", "RECKONER_KAFKA_SASL_PASSWORD=" + secret,
	}})
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := s.Print(&b); err != nil || strings.Contains(b.String(), secret) || s.Kafka.SASLPassword != secret {
		t.Errorf("%v: %s", err, b.String())
	}
	for _, bad := range []string{"mysql://u:" + secret + "@h", "http://u:" + secret + "@[", "http://u:" + secret + "%zz@h", secret} {
		_, err := config.Load(config.Source{Environ: []string{"RECKONER_CLICKHOUSE_URL=" + bad}})
		if err == nil || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestTheTable(t *testing.T) {
	envs := map[string]string{}
	for _, k := range config.Describe() {
		if k.Reason == "" || k.Allowed == "" {
			t.Errorf("%s says too little: %+v", k.Name, k)
		}
		if other, ok := envs[k.Env()]; ok {
			t.Errorf("%s and %s share %s", k.Name, other, k.Env())
		}
		envs[k.Env()] = k.Name
	}
	for name := range config.EmbeddedDefaults() {
		if !slices.ContainsFunc(config.Describe(), func(k config.Key) bool { return k.Name == name }) {
			t.Errorf("no key %s", name)
		}
	}
	fs := flags(t)
	for _, name := range []string{"listen", "ops-listen", "data-dir", "brokers", "clickhouse", "kafka-listen", "clickhouse-listen", "catalog", "config", "log-level"} {
		if fs.Lookup(name) == nil {
			t.Errorf("no flag --%s", name)
		}
	}
}
