// Package config reads the settings: flags before RECKONER_* environment variables before the settings file before
// defaults. One table (table_*.go) says of every key what it is called, what it may be and why it exists; defaults,
// checks, flags and configs/reckoner.yaml come from it. Nobody else imports viper.
package config

import (
	"strings"
	"time"
)

// Settings are what a process runs with. Every field is the key of the same name in the table; durations are
// time.Duration, sizes are bytes.
type Settings struct {
	Listen    string
	OpsListen string
	DataDir   string

	TLS        TLS
	Log        Log
	Kafka      Kafka
	ClickHouse ClickHouse
	Catalog    Catalog
	Ingest     Ingest
	Aggregator Aggregator
	Audit      Audit
	Report     Report
	Shutdown   Shutdown
	Health     Health

	inForce []entry
}

// TLS encrypts the API's port. Without a certificate it is plain HTTP.
type TLS struct {
	CertFile     string
	KeyFile      string
	ClientCAFile string // empty: clients show no certificate
}

// Log is how a process logs.
type Log struct {
	Level  string // debug, info, warn or error
	Format string // text or json
}

// Kafka is how Kafka is reached, and how its topics are made.
type Kafka struct {
	Brokers           []string
	SecurityProtocol  string // plaintext, ssl, sasl_plaintext or sasl_ssl
	CAFile            string // empty: the system's
	CertFile          string // of this client; empty: none
	KeyFile           string
	SASLMechanism     string // plain, scram-sha-256 or scram-sha-512
	SASLUsername      string
	SASLPassword      string // never log it
	SASLPasswordFile  string
	ClientID          string
	Group             string
	Listen            string // of the embedded Kafka
	Partitions        int
	ReplicationFactor int // 0: left to the cluster
	MinInsyncReplicas int // 0: left to the cluster
	SessionTimeout    time.Duration
	RebalanceTimeout  time.Duration
	DialTimeout       time.Duration
	RequestTimeout    time.Duration
}

// ClickHouse is how ClickHouse is reached.
type ClickHouse struct {
	URL                string // may hold a password: never log it
	CAFile             string // empty: the system's
	CertFile           string // of this client; empty: none
	KeyFile            string
	Listen             string // of the embedded ClickHouse
	Cluster            string // empty: a single server
	DialTimeout        time.Duration
	InsertTimeout      time.Duration
	QueryTimeout       time.Duration
	MaxOpenConnections int
}

// Encrypted reports whether connections to the brokers are encrypted.
func (k *Kafka) Encrypted() bool { return strings.HasSuffix(k.SecurityProtocol, "ssl") }

// Authenticated reports whether the brokers ask for a user.
func (k *Kafka) Authenticated() bool { return strings.HasPrefix(k.SecurityProtocol, "sasl") }

// Catalog is how the catalog begins, and how it is changed.
type Catalog struct {
	File           string // applied at the start; empty: none
	AutoAccounts   string // an organization; empty: off
	ChangeTimeout  time.Duration
	MirrorInterval time.Duration // 0: never
}

// Ingest bounds what the HTTP tier takes.
type Ingest struct {
	MaxAge           time.Duration // 0: no bound
	MaxAhead         time.Duration
	OutcomeTimeout   time.Duration
	WaitersMax       int
	RateMax          int // 0: no bound
	RateBurst        int
	BodyBytesMax     int64
	UsagesMax        int
	InflightBytesMax int64
	MetadataKeysMax  int
	MetadataBytesMax int64
	ProduceTimeout   time.Duration

	ReadHeaderTimeout time.Duration
	ReadTimeout       time.Duration
	WriteTimeout      time.Duration
	IdleTimeout       time.Duration
	HeaderBytesMax    int64
	ConnectionsMax    int
}

// Aggregator bounds a batch, and paces it.
type Aggregator struct {
	BatchEventsMax      int
	BatchBytesMax       int64
	FlushInterval       time.Duration
	FlushIntervalWaited time.Duration
	FetchBytesMax       int64
	RetryBackoffMin     time.Duration
	RetryBackoffMax     time.Duration
	AnswerTimeout       time.Duration
	RestoreDelay        time.Duration
	LedgerWatchInterval time.Duration
	StateCacheBytes     int64
}

// Audit paces the check of totals against entries in the background.
type Audit struct{ Interval time.Duration } // 0: off

// Report paces reports to partners, and bounds their delivery.
type Report struct {
	Every           time.Duration
	Jitter          time.Duration
	Batch           int
	Concurrency     int
	SlowConcurrency int
	RequestTimeout  time.Duration
	DeliveryTimeout time.Duration
	RetryBackoffMin time.Duration
	RetryBackoffMax time.Duration
	MaxLag          time.Duration
	DefaultBaseURL  string // empty: none
}

// Shutdown bounds the stop.
type Shutdown struct{ Timeout time.Duration }

// Health says when a process is unwell.
type Health struct{ StallAfter time.Duration }
