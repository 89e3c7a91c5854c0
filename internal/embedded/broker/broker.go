// Package broker runs Kafka inside the process: kfake, on disk, speaking the real protocol on a TCP port.
//
// It serves `reckoner dev`, `reckoner engines` and the tests. A produce that it acknowledged is on disk: every batch
// is synced before its answer. Nothing expires unless its topic says so, and topics are never created by mistake.
// In production an Apache Kafka takes its place and nothing else changes.
package broker

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/gofrs/flock"
	"github.com/twmb/franz-go/pkg/kfake"
)

// DefaultListen is the address of Kafka's convention, on this machine only.
const DefaultListen = "127.0.0.1:9092"

// Options configure a broker.
type Options struct {
	// Dir is the data directory; it is created when missing. One process at a time may use it.
	Dir string
	// Listen is the host and port of the first broker (default DefaultListen; port 0 picks a free one). Clients are
	// told this address, so the host must be one they can reach.
	Listen string
	// Brokers is how many brokers the cluster has (default 1). The second listens on the next port, and so on.
	Brokers int
	// TLS encrypts connections when set, and Users must prove themselves when there are some: for tests of clients. The
	// product serves the embedded broker in the clear, on loopback.
	TLS   *tls.Config
	Users []User
	// Log takes the broker's own messages (default: none).
	Log *slog.Logger
}

// User is who may use the broker.
type User struct{ Mechanism, Name, Password string } // PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512

// Broker is a running cluster.
type Broker struct {
	dir     string
	addrs   []string
	cluster *kfake.Cluster
	lock    *flock.Flock
	conns   *connections
	close   sync.Once
}

// Open starts the cluster on what Dir holds, or on nothing. It returns an error that names the remedy when the
// directory is in use, the port is taken, or a log is damaged (*DamagedError).
func Open(ctx context.Context, o Options) (*Broker, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if o.Dir == "" {
		return nil, errors.New("embedded Kafka needs a data directory")
	}
	o.Brokers = max(o.Brokers, 1)
	if o.Listen == "" {
		o.Listen = DefaultListen
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	lock, err := lockDir(o.Dir)
	if err != nil {
		return nil, err
	}
	b := &Broker{dir: o.Dir, lock: lock, conns: newConnections()}
	err = checkLogs(o.Dir)
	if err == nil {
		err = b.start(o)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	return b, nil
}

func (b *Broker) start(o Options) error {
	next, err := listenFrom(o.Listen)
	if err != nil {
		return err
	}
	b.cluster, err = kfake.NewCluster(append(guards(o),
		kfake.NumBrokers(o.Brokers),
		kfake.DataDir(filepath.Join(o.Dir, "log")),
		kfake.SyncWrites(),
		// The first joins of a test must not wait for the six seconds of a production broker.
		kfake.GroupMinSessionTimeout(100*time.Millisecond),
		kfake.BrokerConfigs(map[string]string{
			"log.retention.ms":          "-1",                          // kfake's default is seven days
			"offsets.retention.minutes": strconv.Itoa(tenYearsMinutes), // and so it is for a group's offsets
		}),
		kfake.ListenFn(func(network, _ string) (net.Listener, error) {
			l, err := net.Listen(network, next())
			if err != nil {
				return nil, err
			}
			if o.TLS != nil { // below the guard of requests, which reads them
				l = tls.NewListener(l, o.TLS)
			}
			return b.conns.listen(l), nil
		}),
		kfake.WithLogger(logger{o.Log}),
	)...)
	if err != nil {
		return explain(err, o)
	}
	b.addrs = b.cluster.ListenAddrs()
	return nil
}

// guards are the options of users.
func guards(o Options) []kfake.Opt {
	var opts []kfake.Opt
	if len(o.Users) > 0 {
		opts = append(opts, kfake.EnableSASL())
	}
	for _, u := range o.Users {
		opts = append(opts, kfake.Superuser(u.Mechanism, u.Name, u.Password))
	}
	return opts
}

const tenYearsMinutes = 10 * 365 * 24 * 60

// listenFrom returns a function that names the address of one broker after the other.
func listenFrom(listen string) (func() string, error) {
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return nil, fmt.Errorf("kafka listen address %q: %w; give host:port", listen, err)
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("kafka listen address %q: the port is no number of 0 to 65535", listen)
	}
	return func() string {
		addr := net.JoinHostPort(host, strconv.FormatUint(n, 10))
		if n != 0 {
			n++
		}
		return addr
	}, nil
}

func explain(err error, o Options) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("kafka cannot listen on %s: the port is taken; stop the program that listens there, or choose another address with --kafka-listen: %w", o.Listen, err)
	case errors.Is(err, os.ErrPermission):
		return fmt.Errorf("embedded Kafka may not use %s or %s; check who owns the directory, and use a port above 1023: %w", o.Dir, o.Listen, err)
	default:
		return fmt.Errorf("start embedded Kafka in %s: %w", o.Dir, err)
	}
}

// Addr is the host and port of the first broker; with it a client finds the others.
func (b *Broker) Addr() string { return b.addrs[0] }

// Addrs are the hosts and ports of all brokers.
func (b *Broker) Addrs() []string { return append([]string(nil), b.addrs...) }

// Close stops listening, writes what is left to the disk, cuts the connections and gives the directory free. A second
// call does nothing.
func (b *Broker) Close() error {
	var err error
	b.close.Do(func() {
		b.cluster.Close()
		b.conns.cut()
		err = b.lock.Unlock()
	})
	if err != nil {
		return fmt.Errorf("unlock %s: %w", b.dir, err)
	}
	return nil
}

// logger turns kfake's lines into records; what it tells of single requests is for debugging only.
type logger struct{ log *slog.Logger }

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	to := slog.LevelDebug
	switch level {
	case kfake.LogLevelError:
		to = slog.LevelError
	case kfake.LogLevelWarn:
		to = slog.LevelWarn
	}
	if l.log.Enabled(context.Background(), to) {
		l.log.Log(context.Background(), to, "embedded kafka: "+fmt.Sprintf(format, args...))
	}
}
