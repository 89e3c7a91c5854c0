package chdb

import (
	"fmt"
	"runtime"
	"strings"
	"unsafe"
)

// param is a query parameter, {name:Type} in the text of the query.
type param struct{ name, value string }

// setting is a setting of a query, by name and value as text.
type setting struct{ name, value string }

// serverSettings undo what the library sets differently from a server, so that
// a query that works here works there. Times are UTC wherever the process runs.
var serverSettings = [...]setting{
	{"implicit_select", "0"},
	{"allow_introspection_functions", "0"},
	{"session_timezone", "UTC"},
}

// plainReads is set after the client's settings, which cannot undo it. The other
// ways of reading a file keep caches by path, and the data of two inserts may
// have the same path one after the other.
const plainReads = ", storage_file_read_method = 'read'"

// conn is one connection of the engine. It runs one query at a time; its owner
// is whoever took it from the pool.
type conn struct {
	lib    *library
	handle *unsafe.Pointer // chdb_connection*, as chdb_connect returned it
	key    string          // the configuration it was made with
	mark   string          // its log_comment, by which its query can be killed
	spoilt bool            // never to be used for another query
}

// configure gives a new connection its database and settings, once and for all.
func (c *conn) configure(database string, settings []setting) error {
	if database != "" {
		if err := c.do("USE " + quoteName(database)); err != nil {
			return err
		}
	}
	var set strings.Builder
	set.WriteString("SET log_comment = " + quoteText(c.mark))
	for _, s := range serverSettings {
		set.WriteString(", " + s.name + " = " + quoteText(s.value))
	}
	// A later assignment wins, and readonly must be the last one of all.
	readonly := ""
	for _, s := range settings {
		clause := ", " + s.name + " = " + quoteText(s.value)
		if s.name == "readonly" {
			readonly = clause
			continue
		}
		set.WriteString(clause)
	}
	return c.do(set.String() + plainReads + readonly)
}

// do runs a statement whose result does not matter.
func (c *conn) do(sql string) error {
	res, err := c.run(sql, "TabSeparated", nil)
	if err != nil {
		return err
	}
	res.free()
	return nil
}

// run executes a query and holds its whole result. An error of the engine is an
// *Exception, and spoils the connection: a fresh one costs a quarter of a
// millisecond, and nothing is known of what a failure leaves behind.
func (c *conn) run(sql, format string, params []param) (*result, error) {
	return c.taken(c.lib.start(*c.handle, false, sql, format, params))
}

// taken turns what the library returned into a result or an error.
func (c *conn) taken(raw unsafe.Pointer) (*result, error) {
	if raw == nil {
		c.spoilt = true
		return nil, fmt.Errorf("the embedded engine returned no result")
	}
	if text := c.lib.resultError(raw); text != "" {
		c.lib.destroyResult(raw)
		c.spoilt = true
		return nil, parseException(text)
	}
	return &result{lib: c.lib, raw: raw}, nil
}

// streamChunks executes a SELECT and hands its result to sink, chunk by chunk;
// an error of sink ends the query. The bytes are valid during the call only.
func (c *conn) streamChunks(sql, format string, params []param, sink func(chunk []byte, s stats) error) error {
	// The engine ties a streaming query to the thread it began on.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	stream, err := c.taken(c.lib.start(*c.handle, true, sql, format, params))
	if err != nil {
		return err
	}
	defer stream.free()
	for {
		chunk, err := c.taken(c.lib.fetch(*c.handle, stream.raw))
		if err != nil {
			return err
		}
		s := chunk.stats()
		err = sink(chunk.bytes(), s)
		chunk.free()
		if err != nil {
			c.spoilt = true
			c.lib.cancelStream(*c.handle, stream.raw)
			return err
		}
		if s.resultRows == 0 { // the engine's sign for the end
			return nil
		}
	}
}

func (c *conn) close() { c.lib.closeConn(unsafe.Pointer(c.handle)) }

// result is a result held in the engine's memory until free.
type result struct {
	lib *library
	raw unsafe.Pointer
}

// bytes is the result without a copy; valid until free.
func (r *result) bytes() []byte {
	n := r.lib.resultLength(r.raw)
	if n == 0 {
		return nil
	}
	return unsafe.Slice((*byte)(r.lib.resultBuffer(r.raw)), n)
}

func (r *result) free() { r.lib.destroyResult(r.raw) }

// stats is what a query did, as X-ClickHouse-Summary tells it.
type stats struct {
	readRows, readBytes, writtenRows, writtenBytes, resultRows, resultBytes uint64
	elapsedNanos                                                            int64
}

func (r *result) stats() stats {
	return stats{
		readRows: r.lib.rowsScanned(r.raw), readBytes: r.lib.bytesScanned(r.raw),
		writtenRows: r.lib.rowsWritten(r.raw), writtenBytes: r.lib.bytesWritten(r.raw),
		resultRows: r.lib.resultRows(r.raw), resultBytes: r.lib.resultBytes(r.raw),
		elapsedNanos: int64(r.lib.resultElapsed(r.raw) * 1e9),
	}
}

func (s *stats) add(o stats) {
	s.readRows += o.readRows
	s.readBytes += o.readBytes
	s.writtenRows += o.writtenRows
	s.writtenBytes += o.writtenBytes
	s.resultRows += o.resultRows
	s.resultBytes += o.resultBytes
	s.elapsedNanos += o.elapsedNanos
}

// quoteName writes a name in backticks, quoteText a text in quotes, so that the
// engine reads exactly the bytes given.
func quoteName(s string) string { return "`" + escapes("`").Replace(s) + "`" }
func quoteText(s string) string { return "'" + escapes("'").Replace(s) + "'" }

func escapes(quote string) *strings.Replacer {
	return strings.NewReplacer(`\`, `\\`, quote, `\`+quote)
}
