// Package receiver stands in for the partner: it takes reports by the partner's rules as strictly as they are written, keeps
// what it took for a while, and shows it. Development and tests report to it. It writes no invoice.
//
// A body is read token by token (decode.go) and held against every rule (rules.go); all that are broken are named, not the
// first one only. What was taken is kept within bounds (shelf.go) and shown to people and programs (pages.go).
package receiver
