package chdb

import (
	"errors"
	"testing"
)

func TestReadStatement(t *testing.T) {
	for _, c := range []struct {
		text   string
		kind   statementKind
		format string
		code   int // of the refusal, or 0
	}{
		{text: "", kind: statementEmpty},
		{text: " -- nothing\n/* at all */ ", kind: statementEmpty},
		{text: "SELECT 1", kind: statementSelect},
		{text: "/* a */ select 1 Format JSON", kind: statementSelect, format: "JSON"},
		{text: "SELECT 1 FORMAT CSV SETTINGS max_threads = 1;", kind: statementSelect, format: "CSV"},
		{text: "SELECT 1 SETTINGS max_threads = 1 FORMAT CSV ; -- end", kind: statementSelect, format: "CSV"},
		{text: "(SELECT 1) UNION ALL (SELECT 2)", kind: statementSelect},
		{text: "WITH 1 AS x SELECT x", kind: statementSelect},
		{text: "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x", kind: statementOther},
		{text: "SELECT ';', \";\", `;`, $$;$$, $a$;$a$, '\\';', ''';' -- ;\n# ;\n/* ; */", kind: statementSelect},
		{text: "SELECT 1; SELECT 2", kind: statementSelect, code: codeSyntaxError},
		{text: "SELECT 1;; SELECT 2", kind: statementSelect, code: codeSyntaxError},
		{text: "SELECT format FROM t", kind: statementSelect},
		{text: "SELECT 1 INTO OUTFILE 'x'", kind: statementSelect, code: codeOutfileRefused},
		{text: "SET max_threads = 1", kind: statementSession},
		{text: "use db", kind: statementSession},
		{text: "CREATE TEMPORARY TABLE t (a Int8)", kind: statementSession},
		{text: "CREATE OR REPLACE TEMPORARY TABLE t (a Int8)", kind: statementSession},
		{text: "CREATE TABLE temporary (a Int8) ENGINE = Memory", kind: statementSession}, // harmless: a connection of its own
		{text: "CREATE TABLE t (a Int8, temporary Int8) ENGINE = Memory", kind: statementOther},
		{text: "SHOW TABLES FORMAT JSON", kind: statementOther, format: "JSON"},
		{text: "INSERT INTO t FORMAT Native ", kind: statementInsert, format: "Native"},
		{text: "INSERT INTO t (`a`, format) FORMAT CSV\n1,2", kind: statementInsert, format: "CSV"},
		{text: "INSERT INTO format FORMAT CSV\n1,2", kind: statementInsert, format: "CSV"},
		{text: "INSERT INTO values.format VALUES (1)", kind: statementInsert},
		{text: "INSERT INTO FUNCTION null('a Int8') FORMAT CSV\n;1", kind: statementInsert, format: "CSV"},
		{text: "INSERT INTO t FORMAT CSV;", kind: statementInsert, format: "CSV", code: codeSyntaxError},
		{text: "INSERT INTO t VALUES ('; SELECT 1'); -- x", kind: statementInsert},
		{text: "INSERT INTO t VALUES (1); SELECT 1", kind: statementInsert, code: codeSyntaxError},
		{text: "INSERT INTO t SELECT 1", kind: statementOther},
		{text: "INSERT INTO t SELECT 1; SELECT 2", kind: statementOther, code: codeSyntaxError},
		{text: "INSERT INTO t SELECT * FROM input('a Int8') FORMAT CSV\n1", kind: statementOther, format: "CSV", code: codeNotImplemented},
		{text: "INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV", kind: statementOther, code: codeUnknownQueryType},
		{text: "SELECT 'never ends", kind: statementSelect},
		{text: "SELECT 1 /* never ends", kind: statementSelect},
	} {
		s, err := readStatement(c.text)
		var e *Exception
		if errors.As(err, &e); (err != nil) != (c.code != 0) || err != nil && e.Code != c.code {
			t.Errorf("%q: error %v, want code %d", c.text, err, c.code)
		}
		if s.kind != c.kind || s.format != c.format {
			t.Errorf("%q: kind %d format %q, want %d %q", c.text, s.kind, s.format, c.kind, c.format)
		}
	}
}

func TestInsertFromFile(t *testing.T) {
	for _, c := range []struct{ text, sql, data string }{
		{"INSERT INTO t FORMAT Native \r\n;data", "INSERT INTO t FROM INFILE 'f' COMPRESSION 'none' FORMAT Native", ";data"},
		{"INSERT INTO t FORMAT CSV 1,2", "INSERT INTO t FROM INFILE 'f' COMPRESSION 'none' FORMAT CSV", "1,2"},
		{"INSERT INTO t (a) SETTINGS max_threads=1, x='FORMAT y' FORMAT CSV\n\n1", "INSERT INTO t (a) FROM INFILE 'f' COMPRESSION 'none' SETTINGS max_threads=1, x='FORMAT y' FORMAT CSV", "\n1"},
		{"insert into a.b FORMAT JSONEachRow{\"a\":1}", "insert into a.b FROM INFILE 'f' COMPRESSION 'none' FORMAT JSONEachRow", `{"a":1}`},
	} {
		s, err := readStatement(c.text)
		if err != nil || s.kind != statementInsert {
			t.Fatalf("%q: kind %d, %v", c.text, s.kind, err)
		}
		if got := s.fromFile("f"); got != c.sql || s.text[s.dataAt:] != c.data {
			t.Errorf("%q:\n got %q, data %q\nwant %q, data %q", c.text, got, s.text[s.dataAt:], c.sql, c.data)
		}
	}
}

func FuzzReadStatement(f *testing.F) {
	for _, seed := range []string{"SELECT 1; 2", "INSERT INTO t (a) SETTINGS b=1 FORMAT CSV\n1", "insert into t values ('\\'", "$a$ $$ /* -- ", "WITH ((("} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		s, err := readStatement(text)
		if err != nil {
			return
		}
		if s.kind == statementInsert && !s.values {
			if s.dataAt < s.infileAt || s.dataAt > len(text) {
				t.Fatalf("data at %d, clause at %d of %d", s.dataAt, s.infileAt, len(text))
			}
			s.fromFile("f")
		}
		l := lexer{text: text}
		for end := 0; ; {
			next := l.next()
			if next.kind == tokenNothing {
				break
			}
			if next.start < end || next.end <= next.start {
				t.Fatalf("token %+v after %d", next, end)
			}
			end = next.end
		}
	})
}

func TestParseException(t *testing.T) {
	for _, c := range []struct {
		text string
		code int
		want string
	}{
		{"Code: 60. DB::Exception: No table. (UNKNOWN_TABLE)", 60, "Code: 60. DB::Exception: No table. (UNKNOWN_TABLE)"},
		{"Error: Code: 60. DB::Exception: x (UNKNOWN_TABLE)", 60, "Code: 60. DB::Exception: x (UNKNOWN_TABLE)"},
		{"Code: 73. DB::Exception: Code: 73. DB::Exception: Unknown format x. (UNKNOWN_FORMAT) (version 26.5.1.1). (UNKNOWN_FORMAT)", 73,
			"Code: 73. DB::Exception: Unknown format x. (UNKNOWN_FORMAT)"},
		{"out of luck", codeUnknown, "Code: 1002. DB::Exception: out of luck (UNKNOWN_EXCEPTION)"},
	} {
		if e := parseException(c.text); e.Code != c.code || e.Text != c.want {
			t.Errorf("%q: %d %q", c.text, e.Code, e.Text)
		}
	}
}

func TestConfigurationKeysDiffer(t *testing.T) {
	seen := map[string]string{}
	for _, c := range []struct {
		database string
		settings []setting
	}{
		{}, {database: "a"}, {settings: []setting{{"a", ""}}}, {settings: []setting{{"", "a"}}},
		{"a", []setting{{"b", "c"}}}, {"ab", []setting{{"", "c"}}}, {"a", []setting{{"b", "c1:d1:e"}}}, {"a", []setting{{"b", "c"}, {"d", "e"}}},
	} {
		key := configurationKey(c.database, c.settings)
		if other, dup := seen[key]; dup {
			t.Errorf("%v has the key of %s", c, other)
		}
		seen[key] = c.database
	}
}

func TestQuote(t *testing.T) {
	if got := quoteText(`it's \ ` + "`x`"); got != `'it\'s \\ `+"`x`'" {
		t.Error(got)
	}
	if got := quoteName("a`b\\"); got != "`a\\`b\\\\`" {
		t.Error(got)
	}
	if first, second := newTag(), newTag(); len(first) != 16 || first == second {
		t.Error("tags must be 16 letters at random")
	}
}
