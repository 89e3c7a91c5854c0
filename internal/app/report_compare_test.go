package app

import (
	"fmt"
	"strings"
	"testing"
)

func TestCompareJSONNamesTheKey(t *testing.T) {
	for _, c := range []struct{ name, stored, again, want string }{
		{"the same", `{"a":1}`, `{"a":1}`, ""},
		{"a number, as it is written", `{"a":12345678901234567890.001}`, `{"a":12345678901234567890.002}`, "a: 12345678901234567890.001 12345678901234567890.002"},
		{
			"a row of usage", `{"usage":[{"name":"x","dayValue":1},{"name":"y","resourceId":"r","dayValue":2}]}`,
			`{"usage":[{"name":"x","dayValue":1},{"name":"y","resourceId":"r","dayValue":3}]}`, "usage[r y].dayValue: 2 3",
		},
		{
			"a row that is missing does not shift the others", `{"usage":[{"name":"x","v":1},{"name":"y","v":2}]}`, `{"usage":[{"name":"y","v":2}]}`,
			`usage[x].name: "x" (absent); usage[x].v: 1 (absent)`,
		},
		{"rows of one name", `{"i":[{"name":"x","v":1},{"name":"x","v":2}]}`, `{"i":[{"name":"x","v":1},{"name":"x","v":4}]}`, "i[x#2].v: 2 4"},
		{"elements without a name", `[1,2]`, `[1,3]`, "[#2]: 2 3"},
		{"nothing in it", `{"a":[],"b":{}}`, `{"a":[1],"b":null}`, `a: [] (absent); a[#1]: (absent) 1; b: {} null`},
		{"bytes only", `{"a": 1}`, `{"a":1}`, "(bytes from 5 on):  1} 1}"},
		{"another order", `{"a":1,"b":2}`, `{"b":2,"a":1}`, `(bytes from 2 on): a":1,"b":2} b":2,"a":1}`},
		{"no JSON", `{`, `{"a":1}`, `(bytes): no JSON: unexpected EOF {"a":1}`},
		{"more than JSON", `{"a":1}`, `{"a":1}}`, `(bytes): {"a":1} no JSON: there is more after the document`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []string
			for _, d := range compareJSON([]byte(c.stored), []byte(c.again)) {
				got = append(got, fmt.Sprintf("%s: %s %s", d.key, d.stored, d.remadeNow))
			}
			if strings.Join(got, "; ") != c.want {
				t.Errorf("got  %s\nwant %s", strings.Join(got, "; "), c.want)
			}
		})
	}
}
