package chdb

import (
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

// decoder undoes a Content-Encoding of a request.
func decoder(encoding string, r io.Reader) (reader io.Reader, err error) {
	switch strings.ToLower(encoding) {
	case "", "identity":
		return r, nil
	case "gzip", "x-gzip":
		reader, err = gzip.NewReader(r)
	case "deflate":
		reader, err = zlib.NewReader(r)
	case "br":
		reader = brotli.NewReader(r)
	case "zstd":
		// One goroutine, and no window beyond what a client reasonably sends.
		reader, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(128<<20))
	case "lz4":
		reader = lz4.NewReader(r)
	default:
		return nil, exceptionf(codeNotImplemented, "Content-Encoding %q is not supported; use gzip, deflate, br, zstd or lz4", encoding)
	}
	if err != nil {
		return nil, exceptionf(codeCannotDecompress, "Cannot decompress the body as %s: %s", encoding, err)
	}
	return reader, nil
}

// encodings are those an answer may have, the preferred first, as in ClickHouse
// (src/Server/HTTPHandler.cpp).
var encodings = [...]struct {
	name string
	wrap func(io.Writer) (flushCloser, error)
}{
	{"br", func(w io.Writer) (flushCloser, error) { return brotli.NewWriterLevel(w, 3), nil }},
	{"lz4", func(w io.Writer) (flushCloser, error) { return lz4.NewWriter(w), nil }},
	{"zstd", func(w io.Writer) (flushCloser, error) {
		return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedFastest))
	}},
	{"gzip", func(w io.Writer) (flushCloser, error) { return gzip.NewWriterLevel(w, gzip.BestSpeed) }},
	{"deflate", func(w io.Writer) (flushCloser, error) { return zlib.NewWriterLevel(w, zlib.BestSpeed) }},
}

// flushCloser is a compressing writer.
type flushCloser interface {
	io.WriteCloser
	Flush() error
}

// encoder picks the encoding of an answer by the request's Accept-Encoding; the
// name is empty when there is none in common.
func encoder(accept string, w io.Writer) (name string, writer flushCloser, err error) {
	accepted := map[string]bool{}
	for part := range strings.SplitSeq(accept, ",") {
		coding, quality, _ := strings.Cut(strings.TrimSpace(part), ";")
		if q := strings.ReplaceAll(quality, " ", ""); q != "q=0" && q != "q=0.0" {
			accepted[strings.ToLower(strings.TrimSpace(coding))] = true
		}
	}
	for _, e := range encodings {
		if accepted[e.name] {
			writer, err = e.wrap(w)
			return e.name, writer, err
		}
	}
	return "", nil, nil
}

// blockSize is how much of an answer goes into one compressed block: what
// ClickHouse uses (DBMS_DEFAULT_BUFFER_SIZE).
const blockSize = 1 << 20

// blockWriter writes ClickHouse's own compressed blocks, each with a checksum.
type blockWriter struct {
	w       io.Writer
	packer  *compress.Writer
	pending []byte
}

func newBlockWriter(w io.Writer, method string) *blockWriter {
	m := compress.LZ4
	switch strings.ToUpper(method) {
	case "ZSTD":
		m = compress.ZSTD
	case "NONE":
		m = compress.None
	case "LZ4HC":
		m = compress.LZ4HC
	}
	return &blockWriter{w: w, packer: compress.NewWriter(compress.LevelZero, m)}
}

func (b *blockWriter) Write(p []byte) (int, error) {
	for rest := p; len(rest) > 0; {
		n := min(blockSize-len(b.pending), len(rest))
		b.pending = append(b.pending, rest[:n]...)
		rest = rest[n:]
		if len(b.pending) == blockSize {
			if err := b.Flush(); err != nil {
				return 0, err
			}
		}
	}
	return len(p), nil
}

// Flush writes what is pending as a block of its own.
func (b *blockWriter) Flush() error {
	if len(b.pending) == 0 {
		return nil
	}
	if err := b.packer.Compress(b.pending); err != nil {
		return err
	}
	b.pending = b.pending[:0]
	_, err := b.w.Write(b.packer.Data)
	return err
}

// writePlain writes p as one block that is not compressed: clickhouse-go looks
// for an exception in the bytes as they come.
func (b *blockWriter) writePlain(p []byte) error {
	if err := b.Flush(); err != nil {
		return err
	}
	plain := compress.NewWriter(compress.LevelZero, compress.None)
	if err := plain.Compress(p); err != nil {
		return err
	}
	_, err := b.w.Write(plain.Data)
	return err
}

// Close writes the last block.
func (b *blockWriter) Close() error { return b.Flush() }
