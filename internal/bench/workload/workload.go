// Package workload makes the input of the benchmark: requests of Frontier's dialect as real producers send them.
//
// Everything is a pure function of a seed: the n-th request of a stream can be made again at any time, so repetitions
// and reverts of old usages need no memory, and whoever checks a run walks the same requests once more.
package workload

import (
	"math"
	"math/rand/v2"
	"strconv"
	"time"
)

// The shares of the input, in events.
const (
	// DuplicateShare is sent again, byte by byte: a producer that missed its answer repeats the whole request.
	DuplicateShare = 0.02
	// RevertShare takes back a usage of an earlier request, in full. No usage is reverted twice.
	RevertShare = 0.005
)

const (
	// AccountsDefault is how many accounts there are.
	AccountsDefault = 100_000
	// The accounts are drawn by Zipf's law: the k-th is asked for in proportion to (k + zipfV)^-zipfS. The busiest of
	// 100,000 gets 3 % of all requests, the busiest thousand half of them.
	zipfS = 1.1
	zipfV = 8

	// revertLag is how many requests a usage is old when it is reverted, duplicateReach how many a repeated request may be.
	revertLag      = 16
	duplicateReach = 1024
)

// Options say what is made.
type Options struct {
	Seed     uint64
	Accounts int       // 0: AccountsDefault
	Batch    int       // usages of one request, all of one account
	Reverts  bool      // else there are usages only
	Now      time.Time // times of use lie in the hour before
}

// Request is one HTTP request: a POST with a JSON body. Body is valid until the next call of its stream.
type Request struct {
	Path   string
	Key    string // the Idempotency-Key; empty: none
	Body   []byte
	Events int
	Revert bool
	Repeat bool // it was sent before
}

// Source yields requests in the order in which one producer sends them; false when there are no more.
type Source interface {
	Next(r *Request) bool
}

// Stream is the requests of one producer. It never ends.
type Stream struct {
	o       Options
	seed    uint64
	source  *rand.PCG
	zipf    *rand.Zipf
	n       uint64 // the next create request
	pending uint64 // the request whose usage is reverted next, plus 1; 0: none
	body    []byte
}

// New returns one stream of several that have nothing in common but their accounts.
func New(o Options, stream int) *Stream {
	if o.Accounts == 0 {
		o.Accounts = AccountsDefault
	}
	source := rand.NewPCG(0, 0)
	return &Stream{
		o: o, seed: mix(o.Seed ^ mix(uint64(stream)+1)), source: source,
		zipf: rand.NewZipf(rand.New(source), zipfS, zipfV, uint64(o.Accounts-1)),
	}
}

// mix is the finalizer of splitmix64: every bit of its result depends on every bit of what goes in.
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// What is drawn of a request or a usage; each has dice of its own.
const (
	diceAccount = iota + 1
	diceRepeat
	diceRevert
	diceID
	diceMore
)

func (s *Stream) dice(n uint64, what uint64) uint64 { return mix(s.seed ^ mix(n<<3|what)) }

// happens reports whether a die falls below a share.
func happens(die uint64, share float64) bool { return float64(die>>11)/(1<<53) < share }

// original returns the request whose bytes the n-th is: itself, unless it is a repetition.
func (s *Stream) original(n uint64) uint64 {
	die := s.dice(n, diceRepeat)
	if n == 0 || !happens(die, DuplicateShare) {
		return n
	}
	back := n - 1 - mix(die)%min(n, duplicateReach)
	for back > 0 && happens(s.dice(back, diceRepeat), DuplicateShare) {
		back--
	}
	return back
}

// reverted reports whether a usage of the n-th request is reverted later: never one of a repetition, never two.
func (s *Stream) reverted(n uint64) bool {
	if !s.o.Reverts || s.original(n) != n {
		return false
	}
	creates := 1 - RevertShare // of all events
	perRequest := RevertShare / creates * float64(s.o.Batch) / (1 - DuplicateShare)
	return happens(s.dice(n, diceRevert), math.Min(perRequest, 1))
}

// revertedUsage is which of its usages that is.
func (s *Stream) revertedUsage(n uint64) int {
	return int(mix(s.dice(n, diceRevert)) % uint64(s.o.Batch))
}

// account returns the number of the account of an original request.
func (s *Stream) account(n uint64) uint64 {
	s.source.Seed(s.dice(n, diceAccount), s.seed)
	return s.zipf.Uint64()
}

// Next implements Source.
func (s *Stream) Next(r *Request) bool {
	if s.pending > 0 {
		s.revert(r, s.pending-1)
		s.pending = 0
		return true
	}
	n := s.n
	s.n++
	if n >= revertLag && s.reverted(n-revertLag) {
		s.pending = n - revertLag + 1
	}
	of := s.original(n)
	account := AccountID(s.o.Seed, s.account(of))
	s.body = append(s.body[:0], `{"usages":[`...)
	for k := range s.o.Batch {
		if k > 0 {
			s.body = append(s.body, ',')
		}
		u := s.usage(of, k)
		s.body = u.append(s.body)
	}
	s.body = append(s.body, "]}"...)
	*r = Request{
		Path: "/v1beta1/organizations/" + Organization + "/billing/" + account + "/usages",
		Body: s.body, Events: s.o.Batch, Repeat: of != n,
	}
	return true
}

func (s *Stream) revert(r *Request, n uint64) {
	u := s.usage(n, s.revertedUsage(n))
	var id, key [36]byte
	formatUUID(&id, u.id[0], u.id[1])
	formatUUID(&key, mix(u.id[0]), mix(u.id[1]))
	*r = Request{
		Path: "/v1beta1/admin/organizations/" + Organization + "/billing/" + AccountID(s.o.Seed, s.account(n)) + "/usage/" + string(id[:]) + "/revert",
		Key:  string(key[:]), Body: []byte("{}"), Events: 1, Revert: true,
	}
}

// Organization is the one that all accounts belong to: that of the demo catalog.
const Organization = "demo"

// AccountID returns the id of the k-th account.
func AccountID(seed, k uint64) string {
	var b [36]byte
	formatUUID(&b, mix(seed^mix(k)), mix(seed+mix(^k)))
	return string(b[:])
}

// usage is one usage of a request.
type usage struct {
	id     [2]uint64
	more   uint64 // dice of all that is beside the id
	amount int64
	used   time.Time
}

func (s *Stream) usage(n uint64, k int) usage {
	id := mix(s.dice(n, diceID) + uint64(k))
	more := mix(s.dice(n, diceMore) + uint64(k))
	return usage{
		id: [2]uint64{id, mix(id ^ s.seed)}, more: more, amount: 1 + int64(more>>40%2000),
		used: s.o.Now.Add(-time.Duration(more % uint64(time.Hour))).Truncate(time.Microsecond),
	}
}

// feature reports whether the usage is of the second meter.
func (u *usage) feature() bool { return u.more>>20%5 == 0 }

var (
	sources = []string{"chat", "embeddings", "search", "batch-worker-7", "api-gateway", "speech", "images", "agents"}
	models  = []string{"large-2", "small-2", "vision-1", "large-1"}
	regions = []string{"eu-west-1", "us-east-1", "ap-south-1"}
)

// append appends the usage's JSON, about 300 bytes.
func (u *usage) append(b []byte) []byte {
	var id [36]byte
	formatUUID(&id, u.id[0], u.id[1])
	b = append(append(b, `{"id":"`...), id[:]...)
	b = appendPadded(append(b, `","customer_id":"cus_`...), u.more%100_000_000)
	b = append(append(b, `","source":"`...), sources[u.more>>8%uint64(len(sources))]...)
	b = append(b, `","description":"tokens of a chat","type":"`...)
	if u.feature() {
		b = append(b, "feature"...)
	} else {
		b = append(b, "credit"...)
	}
	b = strconv.AppendInt(append(b, `","amount":`...), u.amount, 10)
	b = appendPadded(append(b, `,"user_id":"usr_`...), u.more>>16%100_000_000)
	b = append(append(b, `","metadata":{"model":"`...), models[u.more>>12%uint64(len(models))]...)
	b = append(append(b, `","region":"`...), regions[u.more>>14%uint64(len(regions))]...)
	b = strconv.AppendUint(append(b, `","tokens":`...), u.more>>32%100_000, 10)
	b = append(b, `},"created_at":"`...)
	b = u.used.AppendFormat(b, "2006-01-02T15:04:05.000000Z07:00")
	return append(b, `"}`...)
}

// appendPadded appends eight digits.
func appendPadded(b []byte, v uint64) []byte {
	for at := uint64(10_000_000); at > 0; at /= 10 {
		b = append(b, '0'+byte(v/at%10))
	}
	return b
}

// formatUUID writes 128 bits as a random UUID (version 4).
func formatUUID(dst *[36]byte, hi, lo uint64) {
	const digits = "0123456789abcdef"
	hi = hi&^0xf000 | 0x4000
	lo = lo&^(3<<62) | 2<<62
	at := 0
	for i := range 16 {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			dst[at] = '-'
			at++
		}
		word := hi
		if i >= 8 {
			word = lo
		}
		b := byte(word >> (56 - i%8*8))
		dst[at], dst[at+1] = digits[b>>4], digits[b&15]
		at += 2
	}
}
