package reckoner

import "fmt"

// MeterType says how the readings of a meter make a total.
type MeterType uint8

// The meter types, as partners define them. Numbers are stored and never change.
const (
	// Interval is additive: the total is the sum. Only interval meters know reverts and limits.
	Interval MeterType = iota + 1
	// Total is a level: the total is the reading with the greatest (time of use, position).
	Total
	// Rate is a peak: the total is the greatest reading.
	Rate
)

var meterTypeNames = [...]string{Interval: "interval", Total: "total", Rate: "rate"}

// Valid reports whether t is one of the meter types.
func (t MeterType) Valid() bool { return t >= Interval && t <= Rate }

// String returns the type's name.
func (t MeterType) String() string {
	if !t.Valid() {
		return fmt.Sprintf("meter_type(%d)", uint8(t))
	}
	return meterTypeNames[t]
}

// ParseMeterType is the inverse of String.
func ParseMeterType(s string) (MeterType, error) {
	for t := Interval; t <= Rate; t++ {
		if meterTypeNames[t] == s {
			return t, nil
		}
	}
	return 0, fmt.Errorf("unknown meter type %q: want interval, total or rate", clip(s))
}

// Meter is what is counted: a name, the unit of its quantities, and how readings make a total.
type Meter struct {
	Name string
	Unit string
	Type MeterType
}
