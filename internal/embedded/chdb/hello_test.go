package chdb

import (
	"bytes"
	"testing"

	"github.com/ClickHouse/ch-go/proto"
)

// TestHelloBlock reads the answer with a decoder of others' making.
func TestHelloBlock(t *testing.T) {
	a := about{displayName: "box", version: "26.5.1.1", timezone: "UTC"}
	for _, revision := range []int{proto.Version, customSerialization - 1} {
		var name, version, timezone proto.ColStr
		var rev proto.ColUInt32
		var block proto.Block
		r := proto.NewReader(bytes.NewReader(a.helloBlock(revision)))
		err := block.DecodeBlock(r, revision, proto.Results{
			{Name: "displayName()", Data: &name}, {Name: "version()", Data: &version},
			{Name: "revision()", Data: &rev}, {Name: "timezone()", Data: &timezone},
		})
		if err != nil {
			t.Fatalf("revision %d: %v", revision, err)
		}
		if name.First() != "box" || version.First() != "26.5.1.1" || rev[0] != 0 || timezone.First() != "UTC" {
			t.Errorf("revision %d: %s %s %d %s", revision, name.First(), version.First(), rev[0], timezone.First())
		}
	}
}

func TestIsHello(t *testing.T) {
	for _, c := range []struct {
		sql, format, revision string
		want                  bool
	}{
		{helloQuery, "Native", "54460", true},
		{"SELECT displayName(),  version(),\nrevision(), timezone()", "Native", "54460", true},
		{helloQuery, "Native", "", false},
		{helloQuery, "TabSeparated", "54460", false},
		{helloQuery + " FORMAT TSV", "Native", "54460", false},
		{helloQuery, "Native", "x", false},
		{"SELECT 1", "Native", "54460", false},
	} {
		s, err := readStatement(c.sql)
		if err != nil {
			t.Fatal(err)
		}
		if _, got := isHello(&input{statement: s}, &request{format: c.format, revision: c.revision}); got != c.want {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
