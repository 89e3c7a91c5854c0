package awsmarketplace

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	"reckoner/internal/catalog"
)

// callMax is how many records BatchMeterUsage takes at a time.
const callMax = 25

// payload is what AWS is told of an hour. Its bytes are kept, and are what is sent again: the region is in it, because
// records are known as the same only where they were sent before.
type payload struct {
	Region      string   `json:"region"`
	ProductCode string   `json:"productCode,omitempty"`
	Records     []record `json:"usageRecords"`
}

// record is one of BatchMeterUsage: a quantity of a dimension, of which a payload has one.
type record struct {
	Timestamp          time.Time `json:"timestamp"` // the start of the hour
	CustomerAccountID  string    `json:"customerAWSAccountId,omitempty"`
	CustomerIdentifier string    `json:"customerIdentifier,omitempty"`
	LicenseARN         string    `json:"licenseArn,omitempty"`
	Dimension          string    `json:"dimension"`
	Quantity           int32     `json:"quantity"`
}

func newPayload(market *catalog.Marketplace) *payload {
	return &payload{Region: market.Region, ProductCode: market.ProductCode, Records: make([]record, 0, len(market.Dimensions))}
}

func (p *payload) add(market *catalog.Marketplace, dimension string, start time.Time, quantity int32) {
	p.Records = append(p.Records, record{
		Timestamp: start.UTC(), CustomerAccountID: market.CustomerAccountID, CustomerIdentifier: market.CustomerIdentifier,
		LicenseARN: market.LicenseARN, Dimension: dimension, Quantity: quantity,
	})
}

// encode returns the canonical bytes: the keys in the order of the types, on one line, no escapes for HTML.
func (p *payload) encode() ([]byte, error) { return encode(p) }

func decodePayload(b []byte) (*payload, error) {
	p := new(payload)
	if err := decode(b, p); err != nil {
		return nil, fmt.Errorf("a stored report to AWS: %w", err)
	}
	if p.Region == "" || len(p.Records) == 0 {
		return nil, fmt.Errorf("a stored report to AWS names no region or has no records")
	}
	return p, nil
}

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
