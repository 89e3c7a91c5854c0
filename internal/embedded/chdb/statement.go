package chdb

import "strings"

// statementKind is what this package must know of a statement to run it.
type statementKind uint8

const (
	statementEmpty   statementKind = iota // nothing but white space and comments
	statementSelect                       // SELECT and WITH … SELECT: its result can be streamed
	statementInsert                       // INSERT whose data follows the statement
	statementSession                      // changes the connection it runs on: SET, USE, temporary tables
	statementOther
)

// statement is a query as far as this package understands it.
type statement struct {
	text   string
	kind   statementKind
	format string // of the FORMAT clause, or empty
	// For an insert: `FROM INFILE` goes before text[infileAt:], and the data is
	// text[dataAt:] and whatever follows the statement.
	infileAt, dataAt int
	values           bool // the data is a VALUES list, which the engine takes as text
}

// readStatement understands a query. It refuses, as a server does, more than
// one statement and files of the server's as source or target.
func readStatement(text string) (statement, error) {
	s := statement{text: text}
	l := &lexer{text: text}
	t := l.next()
	for t.kind == tokenSign && text[t.start] == '(' { // (SELECT …) UNION ALL …
		t = l.next()
	}
	switch first := upperWord(text, t); {
	case t.kind == tokenNothing:
		return s, nil
	case t.kind == tokenSign && text[t.start] == ';':
		return s, exceptionf(codeSyntaxError, "Syntax error: failed at position 1 (;): an empty statement")
	case first == "INSERT":
		return s, s.readInsert(l)
	case first == "SELECT", first == "WITH", first == "FROM":
		s.kind = statementSelect
	case isOneOf(first, "SET", "USE", "BEGIN", "START", "COMMIT", "ROLLBACK", "EXECUTE"):
		s.kind = statementSession
	default:
		s.kind = statementOther
	}
	return s, s.readRest(l, isOneOf(upperWord(text, t), "CREATE", "ATTACH", "REPLACE"))
}

// readRest goes through a statement that carries no data.
func (s *statement) readRest(l *lexer, creates bool) error {
	var before, last token
	last.kind = tokenNothing
	for n, t := 0, l.next(); t.kind != tokenNothing; n, t = n+1, l.next() {
		word := upperWord(s.text, t)
		switch {
		case t.kind == tokenSign && s.text[t.start] == ';':
			if after := l.next(); after.kind != tokenNothing {
				return multiStatement(after.start)
			}
			s.text = s.text[:t.start]
			return nil
		case creates && n < 4 && word == "TEMPORARY":
			s.kind = statementSession
		case t.depth == 0 && word == "OUTFILE" && upperWord(s.text, last) == "INTO":
			return exceptionf(codeOutfileRefused, "INTO OUTFILE is not allowed")
		case t.depth == 0 && word == "INSERT" && s.kind == statementSelect && last.kind != tokenWord:
			s.kind = statementOther // WITH … AS (…) INSERT INTO …
		case t.depth == 0 && t.kind == tokenWord && upperWord(s.text, last) == "FORMAT" && before.kind != tokenNothing:
			s.format = s.text[t.start:t.end]
		}
		before, last = last, t
	}
	return nil
}

// readInsert finds the clauses of an INSERT, whose first word has been read:
// INSERT INTO [TABLE] [FUNCTION] name [(columns)] [SETTINGS …] FORMAT name data
func (s *statement) readInsert(l *lexer) error {
	s.kind = statementOther
	t := l.next()
	for isOneOf(upperWord(s.text, t), "INTO", "TABLE", "FUNCTION") {
		t = l.next()
	}
	for { // the name: a, a.b
		t = l.next()
		if t.kind != tokenSign || s.text[t.start] != '.' {
			break
		}
		l.next()
	}
	settingsAt := -1
	for ; t.kind != tokenNothing; t = l.next() {
		word := upperWord(s.text, t)
		switch {
		case t.kind == tokenSign && s.text[t.start] == ';':
			if after := l.next(); after.kind != tokenNothing {
				return multiStatement(after.start)
			}
			s.text = s.text[:t.start]
			return nil
		case t.depth != 0:
		case isOneOf(word, "SELECT", "WITH", "WATCH"):
			if err := s.readRest(l, false); err != nil {
				return err
			}
			if s.format != "" { // INSERT … SELECT … FROM input(…) FORMAT …
				return exceptionf(codeNotImplemented, "INSERT … SELECT with data is not supported by the embedded engine; insert into a table first")
			}
			return nil
		case word == "INFILE":
			return exceptionf(codeUnknownQueryType, "Query has infile and was send directly to server")
		case word == "SETTINGS" && settingsAt < 0:
			settingsAt = t.start
		case word == "VALUES":
			s.kind, s.values, s.dataAt = statementInsert, true, t.end
			return s.checkValues(l)
		case word == "FORMAT":
			return s.readFormat(l, t, settingsAt)
		}
	}
	return nil
}

// readFormat takes the name of the format and finds where the data begins: after
// blanks and one line end (ParserInsertQuery).
func (s *statement) readFormat(l *lexer, format token, settingsAt int) error {
	name := l.next()
	if name.kind != tokenWord {
		return nil // the engine says what is wrong
	}
	s.kind, s.format, s.infileAt = statementInsert, s.text[name.start:name.end], format.start
	if settingsAt >= 0 {
		s.infileAt = settingsAt
	}
	if strings.EqualFold(s.format, "Values") {
		s.values = true
	}
	data := name.end
	for data < len(s.text) && strings.IndexByte(" \t\f", s.text[data]) >= 0 {
		data++
	}
	if data < len(s.text) && s.text[data] == ';' {
		return exceptionf(codeSyntaxError, "You have excessive symbol ';' before data for INSERT")
	}
	if data < len(s.text) && s.text[data] == '\r' {
		data++
	}
	if data < len(s.text) && s.text[data] == '\n' {
		data++
	}
	s.dataAt = data
	return nil
}

// checkValues refuses a second statement behind a VALUES list.
func (s *statement) checkValues(l *lexer) error {
	for t := l.next(); t.kind != tokenNothing; t = l.next() {
		if t.kind == tokenSign && t.depth == 0 && s.text[t.start] == ';' {
			if after := l.next(); after.kind != tokenNothing {
				return multiStatement(after.start)
			}
		}
	}
	return nil
}

func multiStatement(at int) error {
	return exceptionf(codeSyntaxError, "Syntax error (Multi-statements are not allowed): failed at position %d", at+1)
}

// fromFile is the insert with its data taken from a file of this process.
func (s *statement) fromFile(path string) string {
	formatEnd := strings.TrimRight(s.text[:s.dataAt], " \t\f\r\n")
	return s.text[:s.infileAt] + "FROM INFILE " + quoteText(path) + " COMPRESSION 'none' " + formatEnd[s.infileAt:]
}

func upperWord(text string, t token) string {
	if t.kind != tokenWord {
		return ""
	}
	return strings.ToUpper(text[t.start:t.end])
}

func isOneOf(word string, words ...string) bool {
	for _, w := range words {
		if word == w {
			return true
		}
	}
	return false
}
