package ingest

import (
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json/jsontext"

	"reckoner/ledger"
)

// answerUsage writes one usage, with its place where it is new.
func (u *usages) answerUsage(c *call, status int, r *ledger.UsageRecord) error {
	path := self(c, r.EventID)
	body, err := appendUsage(nil, path, r)
	if err != nil {
		return err
	}
	if status != http.StatusOK {
		c.w.Header().Set("Location", path)
	}
	u.answer(c, status, body)
	return nil
}

// answerUsages writes a page and where it stands among all.
func (u *usages) answerUsages(c *call, q *ledger.UsageList, page []ledger.UsageRecord, total uint64) error {
	b := append(make([]byte, 0, 2+400*len(page)), '[')
	for i := range page {
		if i > 0 {
			b = append(b, ',')
		}
		var err error
		if b, err = appendUsage(b, self(c, page[i].EventID), &page[i]); err != nil {
			return err
		}
	}
	h := c.w.Header()
	h.Set("Pagination-Total", strconv.FormatUint(total, 10))
	h.Set("Pagination-Limit", strconv.Itoa(q.Limit))
	h.Set("Pagination-Offset", strconv.FormatUint(q.Offset, 10))
	u.answer(c, http.StatusOK, append(b, ']'))
	return nil
}

func (u *usages) answerEmpty(c *call, status int) {
	u.writeDeadline(c)
	c.w.WriteHeader(status)
}

// appendUsage writes a usage. Its quantity is a number, written digit by digit. Nothing is invoiced here.
func appendUsage(b []byte, path string, r *ledger.UsageRecord) ([]byte, error) {
	net, err := r.Net()
	if err != nil {
		return nil, err
	}
	b = append(b, `{"id":`...)
	b, _ = jsontext.AppendQuote(b, r.EventID) // bytes that are not UTF-8 are replaced
	b = append(b, `,"subscriptionId":`...)
	b, _ = jsontext.AppendQuote(b, r.SubscriptionID)
	b = append(b, `,"quantity":`...)
	b = net.Append(b)
	b = append(b, `,"usageTime":"`...)
	b = r.UsageTime.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","invoiceId":null,"invoiceItemId":null,"createdTime":"`...)
	b = r.ReceivedAt.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","updatedTime":"`...)
	b = r.UpdatedAt().UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `","_links":[{"href":`...)
	b, _ = jsontext.AppendQuote(b, path)
	return append(b, `,"rel":"self"}]}`...), nil
}
