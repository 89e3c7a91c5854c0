package bus

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
)

// Options say how to reach a Kafka cluster.
type Options struct {
	// Brokers are host:port addresses; one that answers is enough to find the others.
	Brokers []string
	// ClientID names this process in the brokers' logs and quotas (default "reckoner").
	ClientID string
	// Dialer says how connections are made.
	Dialer Dialer
	// IOTimeout bounds one request to a broker, its answer included (default 10 s).
	IOTimeout time.Duration
	// MetadataTTL is how old the known layout of the cluster may get (default 2 s). It also bounds the request for it.
	MetadataTTL time.Duration
	// Log takes what an operator should know (default: none).
	Log *slog.Logger
}

// Dialer says how connections are made.
type Dialer struct {
	// Timeout bounds connecting, the handshake included (default 5 s).
	Timeout time.Duration
	// TLS encrypts connections when set.
	TLS *tls.Config
	// SASL proves a user to the brokers when set.
	SASL *SASL
}

// Client is a connection to a cluster, from which everything else is made. It is safe for concurrent use.
type Client struct {
	opt       Options
	user      sasl.Mechanism // nil: none
	addr      net.Addr
	transport *kafka.Transport
	kafka     *kafka.Client
	log       *slog.Logger

	resetting sync.Mutex
	lastReset time.Time
}

// Open returns a client. It does not connect; Ping does.
func Open(o Options) (*Client, error) {
	if len(o.Brokers) == 0 {
		return nil, errors.New("no Kafka broker is configured; set kafka.brokers")
	}
	for _, b := range o.Brokers {
		if _, _, err := net.SplitHostPort(b); err != nil {
			return nil, fmt.Errorf("kafka broker %q: %w; give host:port", b, err)
		}
	}
	if o.ClientID == "" {
		o.ClientID = "reckoner"
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.IOTimeout = orDefault(o.IOTimeout, 10*time.Second)
	o.MetadataTTL = orDefault(o.MetadataTTL, 2*time.Second)
	o.Dialer.Timeout = orDefault(o.Dialer.Timeout, 5*time.Second)
	user, err := o.Dialer.SASL.mechanism()
	if err != nil {
		return nil, err
	}
	c := &Client{opt: o, user: user, addr: kafka.TCP(o.Brokers...), log: o.Log}
	c.transport = &kafka.Transport{
		Dial:        (&net.Dialer{Timeout: o.Dialer.Timeout, KeepAlive: 15 * time.Second}).DialContext,
		DialTimeout: o.Dialer.Timeout,
		MetadataTTL: o.MetadataTTL,
		ClientID:    o.ClientID,
		TLS:         o.Dialer.TLS,
		SASL:        user,
	}
	c.kafka = &kafka.Client{Addr: c.addr, Timeout: o.IOTimeout, Transport: c.transport}
	return c, nil
}

func orDefault[T comparable](v, def T) T {
	var zero T
	if v == zero {
		return def
	}
	return v
}

// Close drops the connections. Producers, readers and groups made of the client must have been closed before.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// Ping asks a broker for its versions: nil means that one answered just now.
func (c *Client) Ping(ctx context.Context) error {
	res, err := c.kafka.ApiVersions(ctx, &kafka.ApiVersionsRequest{})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		c.reset(err)
		return fmt.Errorf("no Kafka broker of %v answers: %w%s", c.opt.Brokers, err, c.hint(err))
	}
	return nil
}

// hint says what an error may mean that does not say it. A broker that refuses a user or a certificate may just close.
func (c *Client) hint(err error) string {
	closed := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
	switch {
	case !closed:
		return ""
	case c.user != nil:
		return "; it closed the connection: authentication may have failed (the user, its password, the SASL mechanism), or it may not speak TLS"
	case c.opt.Dialer.TLS != nil:
		return "; it closed the connection: it may not know the certificate, or not speak TLS"
	default:
		return "; it closed the connection: it may want TLS or a user (kafka.security_protocol)"
	}
}

// resetInterval is how often the connections may be dropped for being suspect.
const resetInterval = 50 * time.Millisecond

// reset drops all idle connections and what is known of the cluster's layout, when err says that they may be stale.
// The client keeps dead connections until each has failed a request, and an old layout until its time is over; after a
// broker's restart that would be one failure for each.
func (c *Client) reset(err error) {
	if err == nil || !Retryable(err) || errors.Is(err, ErrBusy) {
		return
	}
	c.resetting.Lock()
	defer c.resetting.Unlock()
	if time.Since(c.lastReset) < resetInterval {
		return
	}
	c.lastReset = time.Now()
	c.transport.CloseIdleConnections()
}

// newBackoff returns waits from 20 ms to 2 s, spread at random so that clients do not come back in step.
func newBackoff() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 20 * time.Millisecond
	b.Multiplier = 2
	b.MaxInterval = 2 * time.Second
	return b
}

// sleep waits for d or until ctx ends, and then returns its error.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
