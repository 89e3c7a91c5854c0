package chdb

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"strconv"
)

// patience is how many bytes of an answer are held back before the first is
// sent: until then an error still gets its own HTTP status.
const patience = 256 << 10

// answer writes the result of one query.
type answer struct {
	w      http.ResponseWriter
	q      *request
	format string
	about  about
	held   bytes.Buffer
	out    io.Writer   // once committed
	enc    flushCloser // compresses what goes to out, or nil
	tag    string      // marks an exception in the middle of the answer
	sum    stats
}

// newAnswer sets the headers that every answer has.
func newAnswer(w http.ResponseWriter, q *request, a about, queryID string) *answer {
	h := w.Header()
	h.Set("X-ClickHouse-Query-Id", queryID)
	h.Set("X-ClickHouse-Server-Display-Name", a.displayName)
	h.Set("X-ClickHouse-Timezone", a.timezone)
	h.Set("Access-Control-Expose-Headers", "X-ClickHouse-Query-Id,X-ClickHouse-Summary,X-ClickHouse-Server-Display-Name,"+
		"X-ClickHouse-Format,X-ClickHouse-Timezone,X-ClickHouse-Exception-Code,X-ClickHouse-Exception-Tag")
	return &answer{w: w, q: q, about: a}
}

// chunk takes the next part of the result. The bytes are not kept.
func (a *answer) chunk(b []byte, s stats) error {
	a.sum.add(s)
	if a.out == nil {
		if a.held.Len()+len(b) <= patience {
			a.held.Write(b)
			return nil
		}
		if err := a.commit(false, len(b)); err != nil {
			return err
		}
	}
	_, err := a.out.Write(b)
	return err
}

// whole takes all of the result at once.
func (a *answer) whole(b []byte, s stats) error {
	a.sum.add(s)
	if len(b) <= patience {
		a.held.Write(b)
		return a.finish()
	}
	if err := a.commit(true, len(b)); err != nil {
		return err
	}
	if _, err := a.out.Write(b); err != nil {
		return err
	}
	return a.finish()
}

// commit sends the headers and what was held back; `more` bytes follow at least.
func (a *answer) commit(complete bool, more int) (err error) {
	h := a.w.Header()
	h.Set("Content-Type", contentType(a.format))
	h.Set("X-ClickHouse-Format", a.format)
	if complete {
		h.Set("X-ClickHouse-Summary", a.sum.summary())
	} else {
		a.tag = newTag()
		h.Set("X-ClickHouse-Exception-Tag", a.tag)
	}
	a.out = a.w
	switch {
	case a.held.Len()+more == 0: // nothing to compress
	case a.q.packed:
		a.enc = newBlockWriter(a.w, a.q.method)
	default:
		var name string
		if name, a.enc, err = encoder(a.q.encodings, a.w); err != nil {
			return err
		}
		if name != "" {
			h.Set("Content-Encoding", name)
			h.Add("Vary", "Accept-Encoding")
		}
	}
	if a.enc != nil {
		a.out = a.enc
	}
	_, err = a.out.Write(a.held.Bytes())
	a.held.Reset()
	return err
}

// finish ends an answer whose query succeeded.
func (a *answer) finish() error {
	if a.out == nil {
		n := a.held.Len()
		if !a.q.packed && a.q.encodings == "" || n == 0 {
			a.w.Header().Set("Content-Length", strconv.Itoa(n))
		}
		if err := a.commit(true, 0); err != nil {
			return err
		}
	}
	if a.enc != nil {
		return a.enc.Close()
	}
	return nil
}

// fail ends an answer whose query did not succeed. When part of the result is
// on its way, the exception follows it in the frame that ClickHouse uses, and
// the connection is broken off so that nobody takes the part for the whole.
func (a *answer) fail(e *Exception) {
	text := fmt.Sprintf("%s (version %s)", e.Text, a.about.version)
	if a.out == nil {
		h := a.w.Header()
		h.Set("X-ClickHouse-Exception-Code", strconv.Itoa(e.Code))
		h.Set("Content-Type", "text/plain; charset=UTF-8")
		if e.status() == http.StatusUnauthorized {
			h.Set("WWW-Authenticate", `Basic realm="ClickHouse server HTTP API"`)
		}
		a.w.WriteHeader(e.status())
		_, _ = io.WriteString(a.w, text+"\n") // a client that has gone needs no answer
		return
	}
	text = cutText(text)
	frame := fmt.Sprintf("\r\n__exception__\r\n%s\r\n%s\n%d %s\r\n__exception__\r\n", a.tag, text, len(text)+1, a.tag)
	// The client may have gone; there is nobody else to tell of an error here.
	switch out := a.enc.(type) {
	case nil:
		_, _ = io.WriteString(a.out, frame)
	case *blockWriter:
		_ = out.writePlain([]byte(frame))
	default:
		_, _ = io.WriteString(out, frame)
		_ = out.Flush()
	}
	if f, ok := a.w.(http.Flusher); ok {
		f.Flush()
	}
	panic(http.ErrAbortHandler) // net/http's own way to break off an answer
}

// cutText keeps the exception frame below the 16 KiB that clients read of it.
func cutText(s string) string {
	const longest = 12 << 10
	if len(s) > longest {
		return s[:longest]
	}
	return s
}

// newTag is 16 small letters at random.
func newTag() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails: crypto/rand
	for i := range b {
		b[i] = 'a' + b[i]%26
	}
	return string(b)
}

// summary is the value of X-ClickHouse-Summary: numbers as text.
func (s stats) summary() string {
	return fmt.Sprintf(`{"read_rows":"%d","read_bytes":"%d","written_rows":"%d","written_bytes":"%d",`+
		`"total_rows_to_read":"0","result_rows":"%d","result_bytes":"%d","elapsed_ns":"%d"}`,
		s.readRows, s.readBytes, s.writtenRows, s.writtenBytes, s.resultRows, s.resultBytes, s.elapsedNanos)
}
