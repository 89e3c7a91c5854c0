package clickhouse

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	ch "github.com/ClickHouse/clickhouse-go/v2"

	"reckoner/ledger"
)

// Codes of ClickHouse (src/Common/ErrorCodes.cpp) that this package tells apart.
const (
	codeNoSuchColumn     = 16
	codeColumnCount      = 20
	codeIllegalType      = 43
	codeIllegalColumn    = 44
	codeUnknownColumn    = 47
	codeTypeMismatch     = 53
	codeUnknownTable     = 60
	codeSyntax           = 62
	codeOutOfBound       = 69
	codeCannotConvert    = 70
	codeUnknownDatabase  = 81
	codeUnknownSetting   = 115
	codeReadonly         = 164
	codeUnknownUser      = 192
	codeWrongPassword    = 193
	codeRequiredPassword = 194
	codeAddressRefused   = 195
	codeDatabaseRefused  = 291
	codeValueOutOfRange  = 321
	codeDecimalOverflow  = 407
	codeAccessRefused    = 497
	codeAuthentication   = 516
	codeUnknownEnumValue = 691
	codeUnknownCluster   = 701
)

// code returns the code of the server's exception in err's chain, 0 when there is none.
func code(err error) int32 {
	if e, ok := errors.AsType[*ch.Exception](err); ok {
		return e.Code
	}
	return 0
}

// explain adds a remedy where one is known, and takes the parameters of the query out of what the error says.
func explain(err error) error {
	err = brief(err)
	if remedy := remedy(err); remedy != "" {
		return fmt.Errorf("%w (%s)", err, remedy)
	}
	return err
}

// briefError says what an error says without the parameters of a query.
type briefError struct {
	error
	text string
}

func (b briefError) Error() string { return b.text }

func (b briefError) Unwrap() error { return b.error }

// brief cuts the query off the URL in an error of the transport: parameters stand there, up to a mebibyte of them, and a log
// line or an answer of ours is no place for them.
func brief(err error) error {
	e, ok := errors.AsType[*url.Error](err)
	if !ok {
		return err
	}
	base, _, found := strings.Cut(e.URL, "?")
	if !found {
		return err
	}
	return briefError{err, strings.ReplaceAll(err.Error(), strconv.Quote(e.URL), strconv.Quote(base))}
}

func remedy(err error) string {
	switch code(err) {
	case codeUnknownDatabase, codeUnknownTable:
		return "has `reckoner migrate` been run?"
	case codeAuthentication, codeUnknownUser, codeWrongPassword, codeRequiredPassword, codeAddressRefused:
		return "see the user and password in clickhouse.url"
	case codeAccessRefused, codeDatabaseRefused, codeReadonly:
		return "the user in clickhouse.url lacks a right: `migrate` creates and alters, `aggregate` reads and inserts, `ingest` reads, and inserts into `catalog`, " +
			"`report` reads, and inserts into `reports` and `report_claims`"
	case codeUnknownCluster:
		return "see clickhouse.cluster, and the server's remote_servers"
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "clickhouse.url names a server whose certificate is not trusted under that name"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return "clickhouse.url asks for TLS on a port that has none: see its scheme and port"
	}
	return ""
}

// refusal marks what stays until a person changes something.
type refusal struct{ error }

func (r refusal) Unwrap() error { return r.error }

// Refused reports whether err comes of the settings, of the server's rights or of the schema, so that it stays until a
// person changes one of them. A server that is away, starts or has no database yet refuses nothing.
func Refused(err error) bool {
	if _, ok := errors.AsType[refusal](err); ok {
		return true
	}
	return !isMissing(err) && remedy(err) != ""
}

func isMissing(err error) bool {
	c := code(err)
	return c == codeUnknownDatabase || c == codeUnknownTable
}

// classify marks what writing the same rows again cannot mend: the server says that a value, a type or the statement
// itself is wrong. Everything else (network, timeouts, too many parts, read-only, a missing table) may pass or be
// mended while the writer waits.
func classify(err error) error {
	switch code(err) {
	case codeNoSuchColumn, codeColumnCount, codeIllegalType, codeIllegalColumn, codeUnknownColumn, codeTypeMismatch,
		codeSyntax, codeOutOfBound, codeCannotConvert, codeUnknownSetting, codeValueOutOfRange, codeDecimalOverflow,
		codeUnknownEnumValue:
		return ledger.MarkPermanent(err)
	default:
		return explain(err)
	}
}
