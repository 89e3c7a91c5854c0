package reckoner_test

import (
	"encoding/hex"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"reckoner"
)

func TestIDs(t *testing.T) {
	for id, want := range map[string]bool{
		account: true, "00000000-0000-0000-0000-000000000000": true, "ffffffff-ffff-ffff-ffff-ffffffffffff": true,
		"": false, strings.ToUpper(account): false, account + "0": false, account[:35]: false, account[:35] + "g": false,
		strings.ReplaceAll(account, "-", ""): false, "{" + account + "}": false, "9c1e0b5e057a5-4c4d-9d3e-1f2a3b4c5d6e": false,
		"9c1e0b5-e57a5-4c4d-9d3e-1f2a3b4c5d6e": false, account[:33] + "é" + "1": false, strings.Repeat("-", 36): false, strings.Repeat("a", 36): false,
	} {
		if reckoner.IsUUID(id) != want {
			t.Errorf("IsUUID(%q) = %t", id, !want)
		}
	}
	for id, want := range map[string]string{
		strings.ToUpper(account): account, account: account, "9C1E0B5E-57a5-4c4d-9d3e-1f2a3b4c5d6e": account,
		"ABC": "ABC", "": "", "USG_1": "USG_1", strings.Repeat("A", 36): strings.Repeat("A", 36), " " + strings.ToUpper(account): " " + strings.ToUpper(account),
	} {
		if got := reckoner.CanonicalID(id); got != want || reckoner.CanonicalID(got) != got {
			t.Errorf("CanonicalID(%q) = %q, want %q", id, got, want)
		}
	}
}

// TestParseUUID holds the table against hexadecimal as the standard library reads it, for any 16 bytes, and for every
// byte in every place of the text.
func TestParseUUID(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := [16]byte(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "bytes"))
		digits := hex.EncodeToString(want[:])
		s := strings.Join([]string{digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]}, "-")
		if got, ok := reckoner.ParseUUID(s); !ok || got != want {
			t.Fatalf("%s is %x, %t; want %x", s, got, ok, want)
		}
	})
	for i := range len(account) {
		for c := range 256 {
			s := account[:i] + string([]byte{byte(c)}) + account[i+1:]
			want := strings.IndexByte("0123456789abcdef", byte(c)) >= 0
			if account[i] == '-' {
				want = c == '-'
			}
			if got, ok := reckoner.ParseUUID(s); ok != want || !ok && got != [16]byte{} {
				t.Errorf("%q: %x, %t", s, got, ok)
			}
		}
	}
}

func BenchmarkIsUUID(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if !reckoner.IsUUID(account) {
			b.Fatal("not a UUID")
		}
	}
}

func BenchmarkCanonicalID(b *testing.B) {
	for _, c := range []struct{ name, id string }{{"lower", account}, {"upper", strings.ToUpper(account)}, {"other", strings.Repeat("x", 36)}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				reckoner.CanonicalID(c.id)
			}
		})
	}
}
