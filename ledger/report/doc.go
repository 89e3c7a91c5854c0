// Package report makes what partners are billed by: the statement of an installation for one day of one billing period. It
// is pure. A Statement is a function of the catalog's Terms, of Readings of the ledger at a known position, and of a
// moment; the same input always gives the same bytes. It knows no clock and reads nothing.
//
// The way of one report: Calendar.Due says which parts of days are to be reported at a moment (calendar.go); Terms.Edges
// says where the ledger is to be cut (terms.go); the ledger folds each slice between two edges into a Reading (reading.go);
// Make folds the slices into usage rows (statement.go, rows.go) and billing items (billing.go); Statement.Payload is what
// goes over the wire (payload.go).
package report
