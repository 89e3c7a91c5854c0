// Package accounts makes the statement of any account, partner or not: what it used in a billing period, and what that
// costs, by the same pure rules as what is reported to partners.
//
// Subscriptions of one account may have different periods, and one statement has one. So a Document holds a statement for
// each period: of the subscriptions that have it. Usage that names no subscription, and usage of subscriptions that the
// catalog no longer has, is of the calendar months in UTC. So in a row of periods every total of the account is in exactly
// one statement.
//
// When reads which periods are asked for (when.go); Read finds the subscriptions and asks the ledger, once (read.go); what
// comes back is folded (make.go) into a Document, which is JSON (document.go), CSV (csv.go), or a table for people (table.go).
package accounts
