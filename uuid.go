package reckoner

import "strings"

// hexDigits gives the value of a lower-case hexadecimal digit, with isDigit set, and 0 for any other byte.
var hexDigits = [256]byte{
	'0': 0x10, '1': 0x11, '2': 0x12, '3': 0x13, '4': 0x14, '5': 0x15, '6': 0x16, '7': 0x17,
	'8': 0x18, '9': 0x19, 'a': 0x1a, 'b': 0x1b, 'c': 0x1c, 'd': 0x1d, 'e': 0x1e, 'f': 0x1f,
}

const isDigit = 0x10

// uuidBytes is where the two digits of each byte stand in a UUID's text.
var uuidBytes = [16]uint8{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

// ParseUUID returns the 16 bytes of a UUID in canonical lower case, and false for every other text.
func ParseUUID(s string) (b [16]byte, ok bool) {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return b, false
	}
	all := byte(isDigit)
	for i, at := range uuidBytes {
		high, low := hexDigits[s[at]], hexDigits[s[at+1]]
		b[i] = high<<4 | low&0x0f
		all &= high & low
	}
	if all == 0 {
		return [16]byte{}, false
	}
	return b, true
}

// IsUUID reports whether s is a UUID in canonical lower case.
func IsUUID(s string) bool {
	_, ok := ParseUUID(s)
	return ok
}

// CanonicalID returns an id as it is kept: a UUID in lower case, anything else as written.
func CanonicalID(id string) string {
	if len(id) != 36 || IsUUID(id) {
		return id
	}
	if lower := strings.ToLower(id); IsUUID(lower) {
		return lower
	}
	return id
}
