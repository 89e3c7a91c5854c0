package clickhouse

import (
	"errors"
	"fmt"

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
	codeValueOutOfRange  = 321
	codeDecimalOverflow  = 407
	codeAuthentication   = 516
	codeUnknownEnumValue = 691
)

// code returns the code of the server's exception in err's chain, 0 when there is none.
func code(err error) int32 {
	if e, ok := errors.AsType[*ch.Exception](err); ok {
		return e.Code
	}
	return 0
}

// explain adds a remedy where one is known.
func explain(err error) error {
	switch code(err) {
	case codeUnknownDatabase, codeUnknownTable:
		return fmt.Errorf("%w (has `reckoner migrate` been run?)", err)
	case codeAuthentication:
		return fmt.Errorf("%w (see the user and password in clickhouse.url)", err)
	default:
		return err
	}
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
