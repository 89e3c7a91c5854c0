package chdb

import (
	"errors"
	"io"
	"os"
	"strings"

	"github.com/ClickHouse/ch-go/compress"
)

// headSize is how far into a body without a query in the URL the INSERT's own
// text may reach: ClickHouse's default max_query_size.
const headSize = 256 << 10

// input is a query ready to run, and its data if it is an INSERT with data.
type input struct {
	statement
	sql string   // what the engine runs
	dat *os.File // the spooled data, or nil
}

func (in *input) close() {
	if in.dat != nil {
		dropSpool(in.dat)
	}
}

// readInput reads the body: text of the query, data of an insert, or both.
func (e *Engine) readInput(q *request, r io.Reader) (*input, error) {
	body, err := decodeBody(r, q)
	if err != nil {
		return nil, err
	}
	text := q.query
	if text != "" {
		text += "\n"
	}
	head := text
	if q.query == "" {
		first, err := io.ReadAll(io.LimitReader(body, headSize))
		if err != nil {
			return nil, bodyError(err)
		}
		head = string(first)
	}
	s, err := readStatement(head)
	if err == nil && s.kind == statementInsert && !s.values {
		return e.spool(s, head, body)
	}
	if s.kind == statementInsert {
		return e.readValues(head, body)
	}
	// The statement may go on behind the head.
	rest, readErr := io.ReadAll(io.LimitReader(body, e.options.MaxQuery-int64(len(head))+1))
	switch {
	case readErr != nil:
		return nil, bodyError(readErr)
	case int64(len(head)+len(rest)) > e.options.MaxQuery:
		return nil, exceptionf(codeQueryTooLarge, "Query is too large: more than %d bytes", e.options.MaxQuery)
	case len(rest) > 0:
		s, err = readStatement(head + string(rest))
	}
	if err == nil && s.kind == statementEmpty {
		err = exceptionf(codeSyntaxError, "Syntax error: failed at position 1 (end of query): Empty query")
	}
	if err != nil {
		return nil, err
	}
	return &input{statement: s, sql: s.text}, nil
}

// readValues reads an INSERT … VALUES, which the engine takes as text.
func (e *Engine) readValues(head string, body io.Reader) (*input, error) {
	rest, err := io.ReadAll(io.LimitReader(body, e.options.MaxBody+1))
	if err != nil {
		return nil, bodyError(err)
	}
	if int64(len(rest)) > e.options.MaxBody {
		return nil, e.bodyTooLarge()
	}
	s, err := readStatement(head + string(rest))
	if err != nil {
		return nil, err
	}
	return &input{statement: s, sql: s.text}, nil
}

// spool gathers the data of an insert, all of it, before the engine sees any:
// a body that breaks off never becomes half an insert.
func (e *Engine) spool(s statement, head string, body io.Reader) (*input, error) {
	file, path, err := newSpool(e.tmp)
	if err != nil {
		return nil, err
	}
	in := &input{statement: s, sql: s.fromFile(path), dat: file}
	data := io.MultiReader(strings.NewReader(head[s.dataAt:]), body)
	n, err := io.Copy(file, io.LimitReader(data, e.options.MaxBody+1))
	switch {
	case err != nil:
		err = bodyError(err)
	case n > e.options.MaxBody:
		err = e.bodyTooLarge()
	case n == 0:
		err = exceptionf(codeNoDataToInsert, "No data to insert")
	}
	if err != nil {
		in.close()
		return nil, err
	}
	return in, nil
}

func (e *Engine) bodyTooLarge() error {
	return exceptionf(codeQueryTooLarge, "The data of one INSERT is larger than %d bytes; send it in parts", e.options.MaxBody)
}

// decodeBody undoes both compressions a client may have used.
func decodeBody(r io.Reader, q *request) (io.Reader, error) {
	body, err := decoder(q.body, r)
	if err != nil {
		return nil, err
	}
	if q.unpack {
		body = newBlockReader(body)
	}
	return body, nil
}

// blockReader reads ClickHouse's compressed blocks. The end of the input between
// two blocks is the end of the data, anywhere else the body broke off; the
// reader underneath calls both io.EOF.
type blockReader struct {
	blocks *compress.Reader
	input  *countingReader
}

func newBlockReader(r io.Reader) *blockReader {
	input := &countingReader{r: r}
	return &blockReader{blocks: compress.NewReader(input), input: input}
}

func (b *blockReader) Read(p []byte) (int, error) {
	b.input.n = 0
	n, err := b.blocks.Read(p)
	switch {
	case err == nil || !errors.Is(err, io.EOF):
		return n, err
	case b.input.n == 0:
		return n, io.EOF
	}
	return n, io.ErrUnexpectedEOF
}

// countingReader counts the bytes it gave.
type countingReader struct {
	r io.Reader
	n int
}

func (c *countingReader) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += n
	return n, err
}

// bodyError tells an unreadable body from a query of the engine that failed.
func bodyError(err error) error {
	var corrupt *compress.CorruptedDataErr
	if errors.As(err, &corrupt) {
		return exceptionf(codeCannotDecompress, "Cannot decompress the body: %s", err)
	}
	return exceptionf(codeCannotReadAll, "Cannot read all of the body: %s", err)
}
