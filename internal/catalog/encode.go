package catalog

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/shopspring/decimal"

	"reckoner"
)

// JSON returns an entity's canonical text: the keys of a document in a fixed order, on one line. What has a default is
// written all the same; what is absent is left out. A credential's hash is *never* in it.
func JSON(e Entity) []byte { return appendEntity(nil, e, false) }

// Same reports whether two entities say the same, a credential's hash included.
func Same(a, b Entity) bool {
	return bytes.Equal(appendEntity(nil, a, true), appendEntity(nil, b, true))
}

// appendEntity appends an entity's canonical text. Two entities that say the same have the same text, and decoding it
// gives the entity.
func appendEntity(b []byte, e Entity, secrets bool) []byte {
	o := object{b: append(b, '{')}
	switch e := e.(type) {
	case *Organization:
		o.text("id", e.ID)
		o.text("name", e.Name)
	case *Project:
		o.text("id", e.ID)
		o.text("name", e.Name)
		o.text("organization", e.OrganizationID)
	case *Account:
		o.text("id", e.ID)
		o.text("organization", e.OrganizationID)
		o.text("state", e.State.String())
		o.time("created_at", e.CreatedAt)
		o.text("default_subscription", e.DefaultSubscription)
	case *Meter:
		o.meter(e)
	case *Plan:
		o.plan(e)
	case *Subscription:
		o.subscription(e)
	case *Installation:
		o.installation(e)
	case *Credential:
		o.credential(e, secrets)
	}
	return append(o.b, '}')
}

func (o *object) meter(m *Meter) {
	o.text("name", m.Name)
	o.text("unit", m.Unit)
	o.text("type", m.Type.String())
	if m.Match != nil {
		o.object("match", func(o *object) {
			o.text("type", m.Match.Type)
			o.text("source", m.Match.Source)
			if len(m.Match.Metadata) > 0 {
				o.object("metadata", func(o *object) {
					for _, l := range m.Match.Metadata {
						o.label(l)
					}
				})
			}
		})
	}
	if m.Priority != 0 {
		o.raw("priority", strconv.Itoa(m.Priority))
	}
}

func (o *object) label(l reckoner.Label) {
	if l.JSON {
		o.raw(l.Key, l.Value)
		return
	}
	o.key(l.Key)
	o.quote(l.Value)
}

func (o *object) plan(p *Plan) {
	o.text("id", p.ID)
	o.text("name", p.Name)
	list(o, "prices", p.Prices, func(o *object, price *Price) {
		o.text("meter", price.Meter)
		o.text("unit_price", money(price.UnitPrice))
		if !price.Included.IsZero() {
			o.text("included", price.Included.String())
		}
	})
	list(o, "discounts", p.Discounts, func(o *object, d *Discount) {
		o.text("name", d.Name)
		o.text("amount", money(d.Amount))
	})
}

// money returns an amount with the decimals that it was written with.
func money(m decimal.Decimal) string { return m.StringFixed(max(-m.Exponent(), 0)) }

func (o *object) subscription(s *Subscription) {
	o.text("id", s.ID)
	o.text("account", s.AccountID)
	o.text("plan", s.Plan)
	o.text("meter", s.Meter)
	if s.Limit != nil {
		o.text("limit", s.Limit.String())
	}
	o.object("period", func(o *object) {
		o.time("anchor", s.Cycle.Anchor)
		o.text("every", s.Cycle.Every.String())
	})
}

func (o *object) installation(in *Installation) {
	o.text("id", in.ID)
	o.text("target", in.Target)
	o.text("account", in.AccountID)
	o.text("base_url", in.BaseURL)
	o.text("token_env", in.TokenEnv)
	o.text("token_file", in.TokenFile)
	o.text("day_ends_at", fmt.Sprintf("%02d:%02d", in.DayEndsAt/time.Hour, in.DayEndsAt%time.Hour/time.Minute))
	list(o, "resources", in.Resources, func(o *object, r *Resource) {
		o.text("subscription", r.SubscriptionID)
		o.text("resource_id", r.ResourceID)
		o.time("from", r.From)
		o.time("to", r.To)
	})
	if in.AWS != nil {
		o.object("aws", func(o *object) { o.marketplace(in.AWS) })
	}
}

func (o *object) credential(cr *Credential, secrets bool) {
	o.text("id", cr.ID)
	if secrets {
		o.text("secret_sha256", hex.EncodeToString(cr.SecretHash[:]))
	}
	texts(o, "scopes", cr.Scopes)
	texts(o, "organizations", cr.Organizations)
}

// object writes a JSON object, key by key.
type object struct {
	b   []byte
	has bool // a key already
}

func (o *object) key(key string) {
	if o.has {
		o.b = append(o.b, ',')
	}
	o.has = true
	o.quote(key)
	o.b = append(o.b, ':')
}

// quote writes a text. Those of an entity are UTF-8; what is not could not have been decoded.
func (o *object) quote(s string) {
	if b, err := jsontext.AppendQuote(o.b, s); err == nil {
		o.b = b
		return
	}
	o.b = strconv.AppendQuoteToASCII(o.b, "not UTF-8")
}

// text writes a key, or nothing if its value is empty.
func (o *object) text(key, value string) {
	if value != "" {
		o.key(key)
		o.quote(value)
	}
}

// raw writes a value that is JSON already.
func (o *object) raw(key, value string) {
	o.key(key)
	o.b = append(o.b, value...)
}

func (o *object) time(key string, t time.Time) {
	if !t.IsZero() {
		o.text(key, t.Format(time.RFC3339Nano))
	}
}

func (o *object) object(key string, fill func(*object)) {
	o.key(key)
	inner := object{b: append(o.b, '{')}
	fill(&inner)
	o.b = append(inner.b, '}')
}

// list writes a list of objects, or nothing if it is empty.
func list[T any](o *object, key string, all []T, fill func(*object, *T)) {
	if len(all) == 0 {
		return
	}
	o.key(key)
	o.b = append(o.b, '[')
	for i := range all {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		inner := object{b: append(o.b, '{')}
		fill(&inner, &all[i])
		o.b = append(inner.b, '}')
	}
	o.b = append(o.b, ']')
}

func texts[T ~string](o *object, key string, all []T) {
	if len(all) == 0 {
		return
	}
	o.key(key)
	o.b = append(o.b, '[')
	for i, s := range all {
		if i > 0 {
			o.b = append(o.b, ',')
		}
		o.quote(string(s))
	}
	o.b = append(o.b, ']')
}
