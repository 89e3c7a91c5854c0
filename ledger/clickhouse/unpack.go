package clickhouse

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"reckoner"
	"reckoner/ledger"
)

// unpacker reads a row that the server packed into one string, by formatRow('RowBinary', …): numbers little-endian, texts
// with their length before them. The client takes a string apart at two allocations, where scanning thirty columns takes
// sixty. Texts are parts of that string and keep it. After the first thing that does not fit, zeros come, and end tells.
type unpacker struct {
	rest string
	bad  bool
}

func (u *unpacker) take(n uint64) string {
	if n > uint64(len(u.rest)) {
		u.bad, u.rest = true, ""
		return ""
	}
	s := u.rest[:n]
	u.rest = u.rest[n:]
	return s
}

// number is n little-endian bytes.
func (u *unpacker) number(n uint64) uint64 {
	var b [8]byte
	copy(b[:], u.take(n))
	return binary.LittleEndian.Uint64(b[:])
}

func (u *unpacker) byte() uint8    { return uint8(u.number(1)) }
func (u *unpacker) uint32() uint32 { return uint32(u.number(4)) }
func (u *unpacker) int32() int32   { return int32(u.number(4)) }
func (u *unpacker) int64() int64   { return int64(u.number(8)) }
func (u *unpacker) text() string   { return u.take(u.length()) }

// length is a number of bytes or elements, as LEB128.
func (u *unpacker) length() (n uint64) {
	for shift := 0; shift < 64; shift += 7 {
		b := u.byte()
		if n |= uint64(b&0x7f) << shift; b < 0x80 {
			return n
		}
	}
	u.bad, u.rest = true, ""
	return 0
}

// count is a number of elements, each of which takes a byte at least.
func (u *unpacker) count() int {
	n := u.length()
	if n > uint64(len(u.rest)) {
		u.bad, u.rest = true, ""
		return 0
	}
	return int(n)
}

// time is a DateTime64(9).
func (u *unpacker) time() time.Time { return time.Unix(0, u.int64()).UTC() }

// seconds is a DateTime64(0).
func (u *unpacker) seconds() time.Time { return time.Unix(u.int64(), 0).UTC() }

// optionalTime is a Nullable(DateTime64(9)); NULL is zero.
func (u *unpacker) optionalTime() time.Time {
	if u.byte() != 0 {
		return time.Time{}
	}
	return u.time()
}

// quantity is a Decimal(38, 3).
func (u *unpacker) quantity() (reckoner.Quantity, error) {
	lo := u.number(8)
	return reckoner.QuantityFromWords(u.int64(), lo)
}

// optionalQuantity is a Nullable(Decimal(38, 3)).
func (u *unpacker) optionalQuantity() (*reckoner.Quantity, error) {
	if u.byte() != 0 {
		return nil, nil
	}
	q, err := u.quantity()
	return &q, err
}

func (u *unpacker) fingerprint() (f reckoner.Fingerprint) {
	copy(f[:], u.take(uint64(len(f))))
	return f
}

func (u *unpacker) position() reckoner.Position {
	return reckoner.Position{Log: u.uint32(), Partition: u.int32(), Offset: u.int64(), Index: u.int32()}
}

// labels are three arrays of one length: keys, values, and whether the value is JSON.
func (u *unpacker) labels() ([]reckoner.Label, error) {
	var all []reckoner.Label
	if n := u.count(); n > 0 {
		all = make([]reckoner.Label, n)
	}
	for i := range all {
		all[i].Key = u.text()
	}
	values := u.count()
	for i := range values {
		if v := u.text(); i < len(all) {
			all[i].Value = v
		}
	}
	marks := u.count()
	for i := range marks {
		if v := u.byte(); i < len(all) {
			all[i].JSON = v != 0
		}
	}
	if values != len(all) || marks != len(all) {
		return nil, fmt.Errorf("metadata: %d keys, %d values, %d marks", len(all), values, marks)
	}
	return all, nil
}

var errPacked = errors.New("a packed row is not of the columns that were asked for")

// end returns errPacked unless everything was read and fitted.
func (u *unpacker) end() error {
	if u.bad || len(u.rest) > 0 {
		return errPacked
	}
	return nil
}

// unpacked scans rows of one packed column.
func unpacked[T any](take func(*unpacker, *T) error) func(driver.Rows) (T, error) {
	var packed string
	into := []any{&packed}
	return func(rows driver.Rows) (row T, err error) {
		if err := rows.Scan(into...); err != nil {
			return row, fmt.Errorf("read row: %w", err)
		}
		u := unpacker{rest: packed}
		wrong := take(&u, &row)
		if err := u.end(); err != nil {
			return row, err
		}
		return row, wrong
	}
}

// restoredEntry takes the columns of restore_entries.sql and earlier_entries.sql.
func restoredEntry(u *unpacker, e *ledger.Entry) error {
	e.Position = u.position()
	e.AccountID, e.SubscriptionID = u.text(), u.text()
	e.Meter, e.MeterType = u.text(), reckoner.MeterType(u.byte())
	e.EventID, e.Kind, e.Type, e.UsageID = u.text(), reckoner.Kind(u.byte()), u.text(), u.text()
	var err error
	e.Quantity, err = u.quantity()
	e.Outcome = reckoner.Outcome(u.byte())
	e.Period = reckoner.Period{Start: u.time(), End: u.time()}
	e.Bucket, e.UsageTime = u.seconds(), u.time()
	e.Fingerprint, e.Rules = u.fingerprint(), u.uint32()
	return damagedEntry(e, err)
}

// wholeEntry takes the columns of whole_entries.sql.
func wholeEntry(u *unpacker, e *ledger.Entry) error {
	e.Position = u.position()
	e.AccountID, e.OrganizationID, e.ProjectID, e.SubscriptionID = u.text(), u.text(), u.text(), u.text()
	e.Meter, e.MeterType = u.text(), reckoner.MeterType(u.byte())
	e.EventID, e.Kind, e.Type, e.UsageID = u.text(), reckoner.Kind(u.byte()), u.text(), u.text()
	var errs [4]error
	e.Quantity, errs[0] = u.quantity()
	e.Requested, errs[1] = u.optionalQuantity()
	e.Outcome = reckoner.Outcome(u.byte())
	e.Period = reckoner.Period{Start: u.time(), End: u.time()}
	e.Bucket, e.UsageTime, e.ReceivedAt, e.UpdatedAt = u.seconds(), u.time(), u.time(), u.optionalTime()
	e.Source, e.Description, e.UserID, e.CustomerID = u.text(), u.text(), u.text(), u.text()
	e.Metadata, errs[2] = u.labels()
	e.Limit, errs[3] = u.optionalQuantity()
	e.Fingerprint, e.Rules = u.fingerprint(), u.uint32()
	return damagedEntry(e, errs[:]...)
}

func damagedEntry(e *ledger.Entry, errs ...error) error {
	if err := errors.Join(errs...); err != nil {
		return &ledger.RowError{Table: "entries", Position: e.Position, ID: e.EventID, Err: err}
	}
	return nil
}

// restoredRefusal takes the columns of restore_refusals.sql and earlier_refusals.sql.
func restoredRefusal(u *unpacker, r *ledger.Refusal) error {
	r.Position = u.position()
	r.AccountID, r.EventID = u.text(), u.text()
	r.Kind, r.Outcome = reckoner.Kind(u.byte()), reckoner.Outcome(u.byte())
	r.Fingerprint, r.Rules = u.fingerprint(), u.uint32()
	return nil
}

// wholeRefusal takes the columns of whole_refusals.sql.
func wholeRefusal(u *unpacker, r *ledger.Refusal) error {
	r.Position = u.position()
	r.AccountID, r.OrganizationID, r.ProjectID, r.SubscriptionID = u.text(), u.text(), u.text(), u.text()
	r.Meter, r.MeterType = u.text(), reckoner.MeterType(u.byte())
	r.EventID, r.Kind, r.Type, r.UsageID = u.text(), reckoner.Kind(u.byte()), u.text(), u.text()
	var err error
	r.Requested, err = u.optionalQuantity()
	r.Outcome, r.Reason = reckoner.Outcome(u.byte()), u.text()
	r.UsageTime, r.ReceivedAt = u.optionalTime(), u.time()
	r.Source = u.text()
	r.Fingerprint, r.Rules = u.fingerprint(), u.uint32()
	if err != nil {
		return &ledger.RowError{Table: "refusals", Position: r.Position, ID: r.EventID, Err: err}
	}
	return nil
}
