package clickhouse

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"reckoner/ledger"
)

// defaultDatabase is the database of the contract.
const defaultDatabase = "reckoner"

// Options says where the ledger is and how to talk to it.
type Options struct {
	// URL is http://, https:// (the HTTP interface) or clickhouse:// (the native protocol), with optional
	// user:password, and optional /database (`reckoner` when absent). Its query may hold the options of clickhouse-go,
	// such as compress=zstd; without that it is lz4, and none to a server on this machine.
	URL string
	// Cluster is the name of the cluster to create and use; empty: a single server.
	Cluster      string
	DialTimeout  time.Duration // to connect; 0: 10 s
	ReadTimeout  time.Duration // without a byte from the server; 0: 5 min
	MaxOpenConns int           // 0: 8
	// TLS is used where the URL asks for encryption; nil: the system's authorities, and no certificate.
	TLS *tls.Config
	// Transport carries the requests of the HTTP interface instead of a socket, for an engine in the same process.
	Transport http.RoundTripper
	Log       *slog.Logger          // nil: silent
	Metrics   prometheus.Registerer // nil: not registered
}

// Ledger is the ledger in ClickHouse. Its methods may be called by several goroutines.
type Ledger struct {
	conn    driver.Conn
	base    ch.Options // of conn, without the database: it may not exist yet
	blocks  *blocks    // of inserts over HTTP; nil: the native protocol
	schema  schema
	queries queries
	tables  tables
	metrics *metrics
	log     *slog.Logger

	sliceRows int // as the constant; tests read less
}

var (
	_ ledger.Writer   = (*Ledger)(nil)
	_ ledger.Restorer = (*Ledger)(nil)
	_ ledger.Logs     = (*Ledger)(nil)
	_ ledger.Auditor  = (*Ledger)(nil)
	_ ledger.Balancer = (*Ledger)(nil)
	_ ledger.Reader   = (*Ledger)(nil)

	_ ledger.CatalogMirror = (*Ledger)(nil)
	_ ledger.ReportStore   = (*Ledger)(nil)
	_ ledger.ReportReader  = (*Ledger)(nil)
	_ ledger.FiguresReader = (*Ledger)(nil)
)

// Open prepares a ledger. It does not connect: Ping does. No error of this package repeats the URL's secrets.
func Open(o Options) (*Ledger, error) {
	opt, database, err := parseURL(o.URL)
	if err != nil {
		return nil, err
	}
	s, err := newSchema(database, o.Cluster)
	if err != nil {
		return nil, err
	}
	q, err := loadQueries()
	if err != nil {
		return nil, err
	}
	opt.DialTimeout = cmp.Or(o.DialTimeout, 10*time.Second)
	opt.ReadTimeout = cmp.Or(o.ReadTimeout, 5*time.Minute)
	opt.MaxOpenConns = cmp.Or(o.MaxOpenConns, 8)
	opt.MaxIdleConns = opt.MaxOpenConns
	if opt.Compression == nil {
		opt.Compression = &ch.Compression{Method: defaultCompression(opt, o.Transport)}
	}
	if o.TLS != nil && opt.TLS != nil {
		config := o.TLS.Clone()
		config.InsecureSkipVerify = opt.TLS.InsecureSkipVerify // of the URL's skip_verify
		opt.TLS = config
	}
	opt.TransportFunc = func(socket *http.Transport) (http.RoundTripper, error) {
		if o.Transport != nil {
			return unpacking{o.Transport}, nil
		}
		return unpacking{socket}, nil
	}
	for name, value := range s.settings() {
		opt.Settings[name] = value
	}
	l := &Ledger{base: *opt, schema: s, queries: q, tables: newTables(q), metrics: newMetrics(o.Metrics), log: o.Log, sliceRows: sliceRows}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	if opt.Protocol == ch.HTTP {
		l.blocks = newBlocks(opt.Compression)
	}
	opt.Auth.Database = database
	if l.conn, err = ch.Open(opt); err != nil {
		return nil, fmt.Errorf("clickhouse.url: %w", err)
	}
	return l, nil
}

// defaultCompression is none where there is no network to spare: to an engine in this process, or to a server on this
// machine, it costs more than the copy that it saves.
func defaultCompression(opt *ch.Options, inside http.RoundTripper) ch.CompressionMethod {
	here := func(addr string) bool {
		host, _, err := net.SplitHostPort(addr)
		return err == nil && (host == "localhost" || net.ParseIP(host).IsLoopback())
	}
	if inside != nil || !slices.ContainsFunc(opt.Addr, func(addr string) bool { return !here(addr) }) {
		return ch.CompressionNone
	}
	return ch.CompressionLZ4
}

// Ping reports whether the database answers.
func (l *Ledger) Ping(ctx context.Context) error {
	if err := l.conn.Ping(ctx); err != nil {
		return fmt.Errorf("reach ClickHouse: %w", explain(err))
	}
	return nil
}

// Close frees the connections. Queries in flight fail.
func (l *Ledger) Close() error { return l.conn.Close() }

// parseURL keeps the cause of a bad URL to itself, because that may quote a part of the password.
func parseURL(text string) (*ch.Options, string, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, "", errors.New("clickhouse.url: not a URL: want http://user:password@host:8123/database, with " +
			"special characters of the password percent-encoded")
	}
	values := u.Query()
	switch u.Scheme {
	case "http", "clickhouse":
	case "https":
		values.Set("secure", "true")
	default:
		return nil, "", fmt.Errorf("clickhouse.url: scheme %q is unknown: want http, https or clickhouse", u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, "", errors.New("clickhouse.url: no host: want http://host:8123 or clickhouse://host:9000")
	}
	if u.Port() == "" && !strings.Contains(u.Host, ",") {
		u.Host += defaultPort(u.Scheme, values.Get("secure") != "")
	}
	u.RawQuery = values.Encode()
	opt, err := ch.ParseDSN(u.String())
	if err != nil {
		return nil, "", fmt.Errorf("clickhouse.url: %w", err) // clickhouse-go masks the secrets
	}
	database := cmp.Or(opt.Auth.Database, defaultDatabase)
	opt.Auth.Database = ""
	return opt, database, nil
}

func defaultPort(scheme string, secure bool) string {
	switch {
	case scheme == "http":
		return ":8123"
	case scheme == "https":
		return ":8443"
	case secure:
		return ":9440"
	default:
		return ":9000"
	}
}
