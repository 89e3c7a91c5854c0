package ingest

import (
	"net/http"
	"time"
)

// Limits bound what one request, and all of them together, may cost. All but RateMax are set; DefaultLimits gives sound values.
type Limits struct {
	BodyBytesMax     int64 // of one request; more is 413
	InflightBytesMax int64 // of the bodies held in memory at once; more is 503
	UsagesMax        int   // of one request; more is 400
	MetadataKeysMax  int   // of one usage
	MetadataBytesMax int   // of one usage: keys and values as JSON
	WaitersMax       int   // events whose outcome is awaited at once; more is 503
	RateMax          int   // requests a second of one credential, in this process; more is 429; 0: no bound
	RateBurst        int   // of them at once

	BodyTimeout    time.Duration // for the whole body to arrive; more is 408
	ProduceTimeout time.Duration // for every in-sync replica to have the events; more is 503
	QueryTimeout   time.Duration // for one read of the ledger; more is 503
	WriteTimeout   time.Duration // for the client to take the answer

	// The rest is for whoever builds the http.Server. Its own ReadTimeout and WriteTimeout stay 0: they would cut
	// requests that wait for their outcome, so the handler sets both deadlines itself.
	ReadHeaderTimeout time.Duration
	IdleTimeout       time.Duration
	HeaderBytesMax    int
	ConnectionsMax    int
}

// DefaultLimits returns the limits that hold where nothing else is set.
func DefaultLimits() Limits {
	return Limits{
		BodyBytesMax: 8 << 20, InflightBytesMax: 64 << 20, UsagesMax: 10_000,
		MetadataKeysMax: 64, MetadataBytesMax: 64 << 10, WaitersMax: 100_000,
		BodyTimeout: 30 * time.Second, ProduceTimeout: 10 * time.Second, QueryTimeout: 10 * time.Second,
		WriteTimeout: 30 * time.Second, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute,
		HeaderBytesMax: 64 << 10, ConnectionsMax: 10_000,
	}
}

// metadataDepthMax bounds the nesting of one metadata value.
const metadataDepthMax = 32

// askRetry asks for a pause, unless something that knows better has.
func askRetry(h http.Header) {
	if h.Get("Retry-After") == "" {
		h.Set("Retry-After", retryAfter)
	}
}

// retryAfter is the pause, in seconds, that a 503 asks for: long enough for a queue to drain, short enough that a
// broker's restart is not felt.
const retryAfter = "1"
