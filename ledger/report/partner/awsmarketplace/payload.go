package awsmarketplace

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"reckoner/internal/catalog"
)

// callMax is how many records BatchMeterUsage takes at a time.
const callMax = 25

// payload is what AWS is told at a time: of some hours.
type payload struct {
	Hours []json.RawMessage `json:"hours"` // each a telling
}

// telling is what AWS is told of an hour. Its bytes are kept until it is known what came of them, and what is said again is
// the same. The region is in it, because records are known as the same only where they were sent before.
type telling struct {
	Region      string   `json:"region"`
	ProductCode string   `json:"productCode,omitempty"`
	Records     []record `json:"usageRecords"`
}

// record is one of BatchMeterUsage: a quantity of a dimension, of which an hour has one.
type record struct {
	Timestamp          time.Time `json:"timestamp"` // the start of the hour
	CustomerAccountID  string    `json:"customerAWSAccountId,omitempty"`
	CustomerIdentifier string    `json:"customerIdentifier,omitempty"`
	LicenseARN         string    `json:"licenseArn,omitempty"`
	Dimension          string    `json:"dimension"`
	Quantity           int32     `json:"quantity"`
}

func newTelling(market *catalog.Marketplace) *telling {
	return &telling{Region: market.Region, ProductCode: market.ProductCode, Records: make([]record, 0, len(market.Dimensions))}
}

func (p *telling) add(market *catalog.Marketplace, dimension string, start time.Time, quantity int32) {
	p.Records = append(p.Records, record{
		Timestamp: start.UTC(), CustomerAccountID: market.CustomerAccountID, CustomerIdentifier: market.CustomerIdentifier,
		LicenseARN: market.LicenseARN, Dimension: dimension, Quantity: quantity,
	})
}

func decodeTelling(b []byte) (*telling, error) {
	p := new(telling)
	if err := decode(b, p); err != nil {
		return nil, fmt.Errorf("what AWS was told of an hour: %w", err)
	}
	if p.Region == "" || len(p.Records) == 0 {
		return nil, errors.New("what AWS was told of an hour names no region or has no records")
	}
	return p, nil
}

func decodePayload(b []byte) ([]*telling, error) {
	var p payload
	if err := decode(b, &p); err != nil {
		return nil, fmt.Errorf("a stored report to AWS: %w", err)
	}
	if len(p.Hours) == 0 {
		return nil, errors.New("a stored report to AWS has no hours")
	}
	var hours []*telling
	for _, text := range p.Hours {
		one, err := decodeTelling(text)
		if err != nil {
			return nil, err
		}
		hours = append(hours, one)
	}
	return hours, nil
}

// encode returns the canonical bytes: the keys in the order of the types, on one line, no escapes for HTML.
func encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// decode refuses what it does not know: a newer program may have meant something by it.
func decode(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if d.More() {
		return fmt.Errorf("something follows at byte %d", d.InputOffset())
	}
	return nil
}
