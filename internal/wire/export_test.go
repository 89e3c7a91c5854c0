package wire

import "reckoner"

// DecodeMessage is what every record means, and DecodeCanonical the short way to it.
func DecodeMessage(b []byte, newest uint32) (*reckoner.Event, error) { return decodeMessage(b, newest) }

// DecodeCanonical reports whether the short way reads a record.
func DecodeCanonical(b []byte, newest uint32) (*reckoner.Event, bool) {
	return decodeCanonical(b, newest)
}
