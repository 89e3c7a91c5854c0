package clickhouse

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/ClickHouse/ch-go/proto"
	ch "github.com/ClickHouse/clickhouse-go/v2"
)

const (
	// blockRows is how many rows go into one block of a body. The server puts the blocks of an insert together, so it
	// decides nothing but the memory of the client: half a megabyte for entries, which fits the processor's cache.
	blockRows = 1024
	// packBytes is how much of a block is compressed at once: what ClickHouse's own client does.
	packBytes = 1 << 20
)

// blocks hands out buffers that blocks are made in, for one connection pool.
type blocks struct {
	compression *ch.Compression
	pool        sync.Pool
}

// block is a buffer, and what compresses it; nil: it goes as it is.
type block struct {
	plain  proto.Buffer
	packer *compress.Writer
}

func newBlocks(c *ch.Compression) *blocks {
	b := &blocks{compression: c}
	b.pool.New = func() any { return b.make() }
	return b
}

// packs reports whether bodies are in ClickHouse's compressed blocks. Encodings of HTTP (gzip and its like) are the
// driver's business.
func (b *blocks) packs() bool {
	return b.compression.Method == ch.CompressionLZ4 || b.compression.Method == ch.CompressionZSTD
}

func (b *blocks) make() *block {
	if !b.packs() {
		return &block{}
	}
	return &block{packer: compress.NewWriter(compress.Level(b.compression.Level), compress.Method(b.compression.Method))}
}

// body is the body of an insert of rows in the format Native, made block by block as it is read. The transport may
// read it, and close it, on goroutines of its own.
type body[T any] struct {
	t    *table[T]
	from *blocks

	mu     sync.Mutex
	block  *block // nil: it has ended
	rows   []T    // that are in no block yet
	plain  []byte // of the block, and not compressed yet
	unread []byte
	err    error // why there is no more
}

func newBody[T any](t *table[T], rows []T, from *blocks) *body[T] {
	return &body[T]{t: t, from: from, block: from.pool.Get().(*block), rows: rows} //nolint:forcetypeassert // New makes nothing else
}

// packed reports whether the body is in ClickHouse's compressed blocks.
func (b *body[T]) packed() bool { return b.from.packs() }

// Close implements io.Closer, so that the transport sees the body as it is. It does nothing: end does.
func (b *body[T]) Close() error { return nil }

// unpacking says of every request with a packed body that it is one. As a setting of the insert it would stand in the
// request with which the driver greets a server, too.
type unpacking struct{ to http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (u unpacking) RoundTrip(r *http.Request) (*http.Response, error) {
	if b, ok := r.Body.(interface{ packed() bool }); ok && b.packed() {
		r = r.Clone(r.Context())
		r.URL.RawQuery += "&decompress=1"
	}
	return u.to.RoundTrip(r)
}

// Read implements io.Reader.
func (b *body[T]) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for len(b.unread) == 0 && b.err == nil {
		b.err = b.more()
	}
	if len(b.unread) == 0 {
		return 0, b.err
	}
	n := copy(p, b.unread)
	b.unread = b.unread[n:]
	return n, nil
}

// more makes something to read: what is left of a block, or a block.
func (b *body[T]) more() error {
	if len(b.plain) > 0 {
		n := min(len(b.plain), packBytes)
		if err := b.block.packer.Compress(b.plain[:n]); err != nil {
			return err
		}
		b.plain, b.unread = b.plain[n:], b.block.packer.Data
		return nil
	}
	if len(b.rows) == 0 {
		return io.EOF
	}
	n := min(len(b.rows), blockRows)
	to := &b.block.plain
	to.Reset()
	if err := b.t.encode(to, b.rows[:n]); err != nil {
		return err
	}
	b.rows = b.rows[n:]
	if b.packed() {
		b.plain = to.Buf
	} else {
		b.unread = to.Buf
	}
	return nil
}

// encode appends rows as one block of the format Native.
func (t *table[T]) encode(to *proto.Buffer, rows []T) error {
	to.PutInt(len(t.columns))
	to.PutInt(len(rows))
	for _, c := range t.columns {
		to.PutString(c.name)
		to.PutString(c.wire)
		if err := c.encode(to, rows); err != nil {
			return fmt.Errorf("column %s: %w", c.name, encodeError{err})
		}
	}
	return nil
}

// failed returns why the rows could not be encoded, if they could not.
func (b *body[T]) failed() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(b.err, io.EOF) {
		return nil
	}
	return b.err
}

// end gives the buffer back. Whoever reads on, as a transport may whose request has failed, gets an error, and sees
// neither the rows nor the buffer any more.
func (b *body[T]) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.from.pool.Put(b.block)
	b.block, b.rows, b.plain, b.unread, b.err = nil, nil, nil, nil, io.ErrClosedPipe
}
