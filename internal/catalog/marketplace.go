package catalog

import (
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"reckoner"
)

// The partners that an installation can be of.
const (
	TargetVercel         = "vercel"
	TargetAWSMarketplace = "aws-marketplace"
)

// Targets returns the partners that an installation can be of.
func Targets() []string { return []string{TargetVercel, TargetAWSMarketplace} }

// Marketplace says for whom, and by which dimensions, an installation's usage is reported to the AWS Marketplace. Either
// the product is named or the license, which stands for a product and a customer's agreement on it: AWS bills twice what
// is sent for both.
type Marketplace struct {
	ProductCode        string    // empty: LicenseARN is given
	LicenseARN         string    // empty: ProductCode is given
	Region             string    // whose endpoint takes the records
	CustomerAccountID  string    // of AWS, 12 digits; empty: CustomerIdentifier is given
	CustomerIdentifier string    // of an integration from before 2026
	From               time.Time // usage from then on is reported: the start of an hour
	Dimensions         []Dimension
}

// Dimension says what of a meter is one unit of a dimension of a product.
type Dimension struct {
	Meter     string            // an interval meter's name
	Dimension string            // as the product has it; each once
	Unit      reckoner.Quantity // of the meter, > 0
	From      time.Time         // zero: that of the Marketplace
}

// Start returns from when on a dimension's usage is reported.
func (m *Marketplace) Start(d *Dimension) time.Time {
	if d.From.IsZero() {
		return m.From
	}
	return d.From
}

// maxDimensions bounds what one report holds: what each of its records came to is kept in its row.
const maxDimensions = 100

func (d *decoder) marketplace(f *field) *Marketplace {
	m := new(Marketplace)
	keys := []string{"product_code", "license_arn", "region", "customer_account_id", "customer_identifier", "from", "dimensions"}
	if !d.object(&f.value, keys, func(f *field) {
		switch f.key {
		case "product_code":
			m.ProductCode = d.text(f)
		case "license_arn":
			m.LicenseARN = d.checked(f, licenseARN)
		case "region":
			m.Region = d.checked(f, region)
		case "customer_account_id":
			m.CustomerAccountID = d.checked(f, accountNumber)
		case "customer_identifier":
			m.CustomerIdentifier = d.text(f)
		case "from":
			m.From = d.hour(f)
		case "dimensions":
			d.elements(f, func(n *node) { d.dimension(n, m) })
			if len(m.Dimensions) > maxDimensions {
				d.fault(f.line, "%d are more than the %d that there may be", len(m.Dimensions), maxDimensions)
			}
		}
	}) {
		return m
	}
	n := &f.value
	d.want(n, "region", m.Region)
	d.wantTime(n, "from", m.From)
	if len(m.Dimensions) == 0 {
		d.want(n, "dimensions", "")
	}
	d.whose(n, m)
	return m
}

// whose judges how the product and the customer are named.
func (d *decoder) whose(n *node, m *Marketplace) {
	switch {
	case m.ProductCode != "" && m.LicenseARN != "":
		d.fault(n.line, "product_code and license_arn are both given, and AWS bills twice what is sent for both: keep license_arn, or product_code where the product is from before concurrent agreements")
	case m.ProductCode == "" && m.LicenseARN == "" && !n.has("product_code") && !n.has("license_arn"):
		d.fault(n.line, "license_arn is missing: the agreement that is billed; or product_code, where the product is from before concurrent agreements")
	}
	switch {
	case m.CustomerAccountID != "" && m.CustomerIdentifier != "":
		d.fault(n.line, "customer_account_id and customer_identifier are both given: keep customer_account_id")
	case m.CustomerIdentifier != "" && m.LicenseARN != "":
		d.fault(n.line, "customer_identifier does not go with license_arn: give customer_account_id")
	case m.CustomerAccountID == "" && m.CustomerIdentifier == "" && !n.has("customer_account_id") && !n.has("customer_identifier"):
		d.fault(n.line, "customer_account_id is missing: the customer's AWS account, as ResolveCustomer told it")
	}
}

func (d *decoder) dimension(n *node, m *Marketplace) {
	one := Dimension{Unit: reckoner.Units(1)}
	if !d.object(n, []string{"meter", "dimension", "unit", "from"}, func(f *field) {
		switch f.key {
		case "meter":
			one.Meter = d.text(f)
			d.remember(MeterKind, one.Meter, f.line)
		case "dimension":
			one.Dimension = d.text(f)
		case "unit":
			if one.Unit = d.quantity(f); one.Unit.IsZero() {
				d.fault(f.line, "is 0: say how much of the meter is one unit of the dimension")
			}
		case "from":
			one.From = d.hour(f)
		}
	}) {
		return
	}
	d.want(n, "meter", one.Meter)
	d.want(n, "dimension", one.Dimension)
	if one.Dimension != "" && slices.ContainsFunc(m.Dimensions, func(o Dimension) bool { return o.Dimension == one.Dimension }) {
		d.fault(n.line, "the dimension %q is there already: AWS takes one record of it an hour", clip(one.Dimension))
	}
	m.Dimensions = append(m.Dimensions, one)
}

// hour returns a time that is the start of an hour in UTC.
func (d *decoder) hour(f *field) time.Time {
	t := d.time(f)
	if !t.Truncate(time.Hour).Equal(t) {
		d.fault(f.line, "%s is not the start of an hour in UTC, and AWS takes hours", clip(f.value.text))
	}
	return t
}

// wantTime records that a key for a time is missing.
func (d *decoder) wantTime(n *node, key string, t time.Time) {
	if t.IsZero() {
		d.want(n, key, "")
	}
}

// has reports whether an object has a key, whatever its value but null.
func (n *node) has(key string) bool {
	return slices.ContainsFunc(n.fields, func(f field) bool { return f.key == key && f.value.kind != nodeNull })
}

// aimed judges an installation's keys by its target.
func (d *decoder) aimed(n *node, in *Installation) {
	aws := in.Target == TargetAWSMarketplace
	switch {
	case in.TokenEnv != "" && in.TokenFile != "":
		d.fault(n.line, "token_env and token_file are both given: keep one")
	case aws && (in.TokenEnv != "" || in.TokenFile != ""):
		d.fault(n.line, "token_env and token_file are not for target %s, whose credentials are those of the AWS SDK (environment, profile, role): leave them out", in.Target)
	case !aws && in.BaseURL != "" && in.TokenEnv == "" && in.TokenFile == "":
		d.fault(n.line, "base_url without token_env or token_file: name where the access token is")
	}
	switch {
	case aws && !n.has("aws"):
		d.fault(n.line, "target %s without aws: say which product, customer and dimensions it is about", in.Target)
	case !aws && n.has("aws"):
		d.fault(n.line, "aws is for target %s, and this one is of %s", TargetAWSMarketplace, in.Target)
	case aws && in.DayEndsAt != 0:
		d.fault(n.line, "day_ends_at is not for target %s, which takes hours: leave it out", in.Target)
	}
}

func licenseARN(s string) error {
	if !strings.HasPrefix(s, "arn:") || strings.Count(s, ":") < 5 {
		return errors.New("want the ARN of a license, as in arn:aws:license-manager::123456789012:license:l-…")
	}
	return nil
}

var regions = regexp.MustCompile(`^[a-z]{2}(-[a-z]+)+-[0-9]{1,2}$`)

func region(s string) error {
	if !regions.MatchString(s) {
		return errors.New("want a region of AWS, as in us-east-1")
	}
	return nil
}

func accountNumber(s string) error {
	if len(s) != 12 || !isDigits(s) {
		return errors.New("want the 12 digits of an AWS account, in quotes")
	}
	return nil
}

func (o *object) marketplace(m *Marketplace) {
	o.text("product_code", m.ProductCode)
	o.text("license_arn", m.LicenseARN)
	o.text("region", m.Region)
	o.text("customer_account_id", m.CustomerAccountID)
	o.text("customer_identifier", m.CustomerIdentifier)
	o.time("from", m.From)
	list(o, "dimensions", m.Dimensions, func(o *object, d *Dimension) {
		o.text("meter", d.Meter)
		o.text("dimension", d.Dimension)
		o.text("unit", d.Unit.String())
		o.time("from", d.From)
	})
}

// checkMarketplace asks whether the meters are of the type that dimensions count.
func (t *tables) checkMarketplace(in *Installation) []Fault {
	if in.AWS == nil {
		return nil
	}
	var faults []Fault
	for i := range in.AWS.Dimensions {
		name := in.AWS.Dimensions[i].Meter
		if m, _ := t.meter(name); m.Type != reckoner.Interval {
			faults = append(faults, check("aws.dimensions", "meter %q is of type %s, and AWS adds up what it is told each hour: only interval meters can be reported to it",
				clip(name), m.Type)...)
		}
	}
	return append(faults, t.checkApart(in)...)
}

// checkApart asks whether another installation of the account sends records of the same customer and dimension. AWS takes
// one an hour.
func (t *tables) checkApart(in *Installation) []Fault {
	var faults []Fault
	t.referring(installationsOf, in.AccountID, func(r *row) bool {
		other := r.entity.(*Installation)
		if other.ID == in.ID || other.AWS == nil || !in.AWS.sameCustomer(other.AWS) {
			return true
		}
		for i := range in.AWS.Dimensions {
			name := in.AWS.Dimensions[i].Dimension
			if slices.ContainsFunc(other.AWS.Dimensions, func(d Dimension) bool { return d.Dimension == name }) {
				f := check("aws.dimensions", "installation %q reports dimension %q of the same customer, and AWS takes one record of it an hour: report it by one of them",
					clip(other.ID), clip(name))
				f[0].By = refOf(r)
				faults = append(faults, f...)
			}
		}
		return len(faults) == 0
	})
	return faults
}

func (m *Marketplace) sameCustomer(o *Marketplace) bool {
	return m.ProductCode == o.ProductCode && m.LicenseARN == o.LicenseARN &&
		m.CustomerAccountID == o.CustomerAccountID && m.CustomerIdentifier == o.CustomerIdentifier
}

// keepsDimensions asks whether a meter is still one that the dimensions of installations can count.
func (t *tables) keepsDimensions(m *Meter) []Fault {
	if m.Type == reckoner.Interval {
		return nil
	}
	var faults []Fault
	t.mentions.Ascend(mention{kind: MeterKind, key: m.Name}, func(by mention) bool {
		if by.kind != MeterKind || by.key != m.Name {
			return false
		}
		if _, ok := by.by.entity.(*Installation); ok {
			faults = check("type", "installation %q reports it to AWS, and only interval meters can be: take the dimension away first", clip(by.by.entity.Key()))
			faults[0].By = refOf(by.by)
		}
		return faults == nil
	})
	return faults
}
