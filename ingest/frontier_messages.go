package ingest

import (
	"fmt"
	"slices"
	"time"

	"reckoner"
)

// names are who a request is about. A request names its organization, or a project of it, or neither.
type names struct{ org, project, billing string }

// usageMessage is one usage of a create request.
type usageMessage struct {
	id, customerID, source, description, typ, userID string
	amount                                           int64
	metadata                                         []reckoner.Label
	createdAt, updatedAt                             time.Time
}

type createRequest struct {
	names
	usages []usageMessage
}

type revertRequest struct {
	names
	usageID string
	amount  int64
}

// The numbers of fields are our own: they tell fields apart, nothing else.
const (
	fieldOrg = iota + 1
	fieldProject
	fieldBilling
	fieldUsages
	fieldUsage
	fieldAmount
	fieldID
	fieldCustomer
	fieldSource
	fieldDescription
	fieldType
	fieldUser
	fieldMetadata
	fieldCreatedAt
	fieldUpdatedAt
)

// requestField numbers the fields of a request, in both spellings of proto JSON.
func requestField(name []byte) int {
	switch string(name) {
	case "org_id", "orgId":
		return fieldOrg
	case "project_id", "projectId":
		return fieldProject
	case "billing_id", "billingId":
		return fieldBilling
	}
	return 0
}

func createField(name []byte) int {
	if string(name) == "usages" {
		return fieldUsages
	}
	return requestField(name)
}

func revertField(name []byte) int {
	switch string(name) {
	case "usage_id", "usageId":
		return fieldUsage
	case "amount":
		return fieldAmount
	}
	return requestField(name)
}

func usageField(name []byte) int {
	switch string(name) {
	case "id":
		return fieldID
	case "customer_id", "customerId":
		return fieldCustomer
	case "source":
		return fieldSource
	case "description":
		return fieldDescription
	case "type":
		return fieldType
	case "amount":
		return fieldAmount
	case "user_id", "userId":
		return fieldUser
	case "metadata":
		return fieldMetadata
	case "created_at", "createdAt":
		return fieldCreatedAt
	case "updated_at", "updatedAt":
		return fieldUpdatedAt
	}
	return 0
}

// parseCreate reads the body of a create request, its usages into the memory of s. It stops at the first usage over the
// limit.
func parseCreate(body []byte, l *Limits, s *scratch) (createRequest, error) {
	var m createRequest
	m.usages = s.usages[:0]
	usage := func(p *parser) error {
		if len(m.usages) == l.UsagesMax {
			return invalid("invalid CreateBillingUsageRequest.Usages: value must contain no more than %d item(s)", l.UsagesMax)
		}
		m.usages = append(m.usages, usageMessage{})
		return p.message(usageField, m.usages[len(m.usages)-1].read)
	}
	p := newParser(body, l)
	p.labels = s.labels[:0]
	err := p.parse(createField, func(p *parser, n int) error {
		if n == fieldUsages {
			return p.list(usage)
		}
		return m.names.read(p, n)
	})
	s.usages, s.labels = m.usages, p.labels
	return m, err
}

// parseRevert reads the body of a revert request.
func parseRevert(body []byte, l *Limits) (revertRequest, error) {
	var m revertRequest
	err := newParser(body, l).parse(revertField, func(p *parser, n int) (err error) {
		switch n {
		case fieldUsage:
			m.usageID, err = p.text()
		case fieldAmount:
			m.amount, err = p.int64()
		default:
			err = m.names.read(p, n)
		}
		return err
	})
	return m, err
}

func (m *names) read(p *parser, n int) (err error) {
	switch n {
	case fieldOrg:
		m.org, err = p.text()
	case fieldProject:
		m.project, err = p.text()
	case fieldBilling:
		m.billing, err = p.text()
	}
	return err
}

func (m *usageMessage) read(p *parser, n int) (err error) {
	switch n {
	case fieldID:
		m.id, err = p.text()
	case fieldCustomer:
		m.customerID, err = p.text()
	case fieldSource:
		m.source, err = p.text()
	case fieldDescription:
		m.description, err = p.text()
	case fieldType:
		m.typ, err = p.text()
	case fieldAmount:
		m.amount, err = p.int64()
	case fieldUser:
		m.userID, err = p.text()
	case fieldMetadata:
		m.metadata, err = p.metadata()
	case fieldCreatedAt:
		m.createdAt, err = p.time()
	case fieldUpdatedAt:
		m.updatedAt, err = p.time()
	}
	return err
}

// fromPath lets a value in the path win over the body's.
func (m *names) fromPath(p params) {
	if v, ok := p["org_id"]; ok {
		m.org = v
	}
	if v, ok := p["billing_id"]; ok {
		m.billing = v
	}
}

// types are what a usage may be of; none is the first.
func types() []string { return []string{"credit", "feature"} }

// check is what the fields of a request must be before anything is looked up, in the original's words.
func (m *createRequest) check() error {
	const message = "CreateBillingUsageRequest"
	if err := m.names.check(message); err != nil {
		return err
	}
	for i := range m.usages {
		u := &m.usages[i]
		if u.id != "" && !isUUID(u.id) {
			return badUsage(i, "Id", notUUID)
		}
		if u.typ != "" && !slices.Contains(types(), u.typ) {
			return badUsage(i, "Type", fmt.Sprintf("value must be in list %v", types()))
		}
		if u.amount <= 0 {
			return badUsage(i, "Amount", "value must be greater than 0")
		}
	}
	return nil
}

func (m *revertRequest) check() error {
	const message = "RevertBillingUsageRequest"
	if err := m.names.check(message); err != nil {
		return err
	}
	if !isUUID(m.usageID) {
		return invalid("invalid %s.UsageId: %s", message, notUUID)
	}
	if m.amount < 0 {
		return invalid("invalid %s.Amount: value must be greater than or equal to 0", message)
	}
	return nil
}

const notUUID = "value must be a valid UUID | caused by: invalid uuid format"

func (m *names) check(message string) error {
	if m.billing != "" && !isUUID(m.billing) {
		return invalid("invalid %s.BillingId: %s", message, notUUID)
	}
	return nil
}

func badUsage(i int, field, why string) error {
	return invalid("invalid CreateBillingUsageRequest.Usages[%d]: embedded message failed validation | caused by: invalid Usage.%s: %s",
		i, field, why)
}

// isUUID takes either case.
func isUUID(s string) bool { return reckoner.IsUUID(reckoner.CanonicalID(s)) }
