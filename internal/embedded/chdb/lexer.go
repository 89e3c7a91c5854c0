package chdb

import "strings"

// tokenKind says what a token of a query is.
type tokenKind uint8

const (
	tokenWord    tokenKind = iota // keyword or bare identifier
	tokenQuoted                   // 'text', "name", `name` or $tag$text$tag$
	tokenNumber                   // and whatever else begins with a digit
	tokenSign                     // one byte of punctuation
	tokenBroken                   // a quote or comment that never ends; the rest of the query
	tokenNothing                  // the end
)

// token is a piece of a query: text[start:end], at the given depth of brackets.
type token struct {
	kind       tokenKind
	start, end int
	depth      int
}

// lexer splits a query as ClickHouse's does (src/Parsers/Lexer.cpp), as far as
// it takes to know where a statement ends and where the data of an INSERT
// begins. It never fails: what it does not understand is the engine's to refuse.
type lexer struct {
	text  string
	pos   int
	depth int
}

func (l *lexer) next() token {
	l.skipBlank()
	start := l.pos
	if start >= len(l.text) {
		return token{kind: tokenNothing, start: start, end: start, depth: l.depth}
	}
	kind := tokenSign
	switch c := l.text[start]; {
	case c == '\'' || c == '"' || c == '`':
		kind = l.quoted(c)
	case c == '$':
		kind = l.heredoc()
	case isWordByte(c) && (c < '0' || c > '9'):
		kind = tokenWord
		l.word()
	case c >= '0' && c <= '9':
		kind = tokenNumber
		l.word()
	case strings.HasPrefix(l.text[start:], "/*"):
		kind, l.pos = tokenBroken, len(l.text)
	default:
		l.pos++
	}
	t := token{kind: kind, start: start, end: l.pos, depth: l.depth}
	if kind == tokenSign {
		switch l.text[start] {
		case '(', '[', '{':
			l.depth++
		case ')', ']', '}':
			l.depth--
			t.depth = l.depth
		}
	}
	return t
}

// skipBlank passes over white space and comments.
func (l *lexer) skipBlank() {
	for l.pos < len(l.text) {
		rest := l.text[l.pos:]
		switch {
		case strings.IndexByte(" \t\n\r\f\v", rest[0]) >= 0:
			l.pos++
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "# "), strings.HasPrefix(rest, "#!"):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest) - 1
			}
			l.pos += end + 1
		case strings.HasPrefix(rest, "/*"):
			end := strings.Index(rest[2:], "*/")
			if end < 0 {
				return // next makes it a broken token
			}
			l.pos += end + 4
		default:
			return
		}
	}
}

func (l *lexer) word() {
	for l.pos < len(l.text) && isWordByte(l.text[l.pos]) {
		l.pos++
	}
}

// quoted passes over a quoted text: a backslash escapes, a doubled quote is one.
func (l *lexer) quoted(quote byte) tokenKind {
	for i := l.pos + 1; i < len(l.text); i++ {
		switch l.text[i] {
		case '\\':
			i++
		case quote:
			if i+1 < len(l.text) && l.text[i+1] == quote {
				i++
				continue
			}
			l.pos = i + 1
			return tokenQuoted
		}
	}
	l.pos = len(l.text)
	return tokenBroken
}

// heredoc passes over $tag$text$tag$; a lone dollar is part of a word.
func (l *lexer) heredoc() tokenKind {
	rest := l.text[l.pos:]
	tagEnd := 1
	for tagEnd < len(rest) && isWordByte(rest[tagEnd]) && rest[tagEnd] != '$' {
		tagEnd++
	}
	if tagEnd < len(rest) && rest[tagEnd] == '$' {
		tag := rest[:tagEnd+1]
		if end := strings.Index(rest[len(tag):], tag); end >= 0 {
			l.pos += len(tag) + end + len(tag)
			return tokenQuoted
		}
	}
	l.pos++
	l.word()
	return tokenWord
}

func isWordByte(c byte) bool {
	return c == '_' || c == '$' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
