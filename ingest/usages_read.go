package ingest

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"reckoner"
	"reckoner/ledger"
)

// The bounds of a page.
const (
	pageLimit    = 100 // when none is asked for
	pageLimitMax = 1000
	textMax      = 255 // bytes of q
)

// get answers with a usage that counts.
func (u *usages) get(c *call) error {
	found, err := u.find(c, u.ledger.FindUsages)
	if err != nil {
		return err
	}
	if found == nil {
		return noUsage(c)
	}
	if net, err := found.Net(); err != nil {
		return err
	} else if net.IsZero() && !found.RevertedAt.IsZero() {
		return noUsage(c)
	}
	return u.answerUsage(c, http.StatusOK, found)
}

func noUsage(c *call) error {
	return &reckoner.Error{Code: reckoner.NotFound, Message: fmt.Sprintf("there is no usage %q", clip(c.params["id"]))}
}

// find looks the usage of a path up among those that the caller may see; nil when there is none.
func (u *usages) find(c *call, read func(context.Context, ledger.UsageLookup) ([]ledger.UsageRecord, error)) (*ledger.UsageRecord, error) {
	organizations, err := u.visible(c)
	if err != nil {
		return nil, err
	}
	id := c.params["id"]
	if badID(id) != "" {
		return nil, nil // none ever had it
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), u.limits.QueryTimeout)
	defer cancel()
	found, err := read(ctx, ledger.UsageLookup{ID: reckoner.CanonicalID(id), Organizations: organizations})
	switch {
	case err != nil:
		return nil, unread(err)
	case len(found) == 0:
		return nil, nil
	case len(found) > 1:
		return nil, &reckoner.Error{
			Code: reckoner.AlreadyExists, Message: fmt.Sprintf("%d accounts have a usage %q; name the organization in the path, if that tells them apart", len(found), clip(id)),
		}
	}
	return &found[0], nil
}

// list answers with a page of the usages that count.
func (u *usages) list(c *call) error {
	q, err := usageQuery(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	if q.Organizations, err = u.visible(c); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(c.r.Context(), u.limits.QueryTimeout)
	defer cancel()
	page, total, err := u.ledger.ListUsages(ctx, q)
	if err != nil {
		return unread(err)
	}
	return u.answerUsages(c, &q, page, total)
}

// usageQuery reads the parameters of a list. Those that it does not know are ignored.
func usageQuery(raw string) (ledger.UsageList, error) {
	// The dialect divides filters by semicolons, which clients write as they are; the library takes them for an old way
	// to divide parameters, and refuses them.
	query, err := url.ParseQuery(strings.ReplaceAll(raw, ";", "%3B"))
	if err != nil {
		return ledger.UsageList{}, invalid("invalid query: %s", clip(err.Error()))
	}
	var q ledger.UsageList
	wrong := &fieldsError{}
	one := func(name string) string {
		values := query[name]
		if len(values) > 1 {
			wrong.add(name, "given more than once")
		}
		if len(values) != 1 {
			return ""
		}
		return values[0]
	}
	parseUsageFilter(one("filter"), &q, wrong)
	q.Sort = parseUsageSort(one("sort"), wrong)
	q.Limit = pageLimit
	if text := one("limit"); text != "" {
		n, err := strconv.ParseUint(text, 10, 31)
		if err != nil || n > pageLimitMax {
			wrong.add("limit", fmt.Sprintf("want a number from 0 to %d", pageLimitMax))
		}
		q.Limit = int(n)
	}
	if text := one("offset"); text != "" {
		n, err := strconv.ParseUint(text, 10, 63)
		if err != nil {
			wrong.add("offset", "want a number, 0 or more")
		}
		q.Offset = n
	}
	if q.Text = one("q"); len(q.Text) > textMax {
		wrong.add("q", fmt.Sprintf("want at most %d bytes", textMax))
	}
	return q, wrong.err()
}

// parseUsageSort reads fields, each after a minus sign where the greatest comes first. Without any the oldest come first,
// so that what is added meanwhile does not move what was there.
func parseUsageSort(text string, wrong *fieldsError) []ledger.UsageSort {
	if text == "" {
		return []ledger.UsageSort{{Field: ledger.UsageCreated}}
	}
	var keys []ledger.UsageSort
	seen := map[ledger.UsageField]bool{}
	for name := range strings.SplitSeq(text, ",") {
		name, desc := strings.CutPrefix(name, "-")
		field, ok := listField(name)
		switch {
		case !ok:
			wrong.add("sort", fmt.Sprintf("unknown field %q: %s", clip(name), usageFieldList))
			return nil
		case seen[field]:
			wrong.add("sort", fmt.Sprintf("%s is given more than once", name))
			return nil
		}
		seen[field] = true
		keys = append(keys, ledger.UsageSort{Field: field, Desc: desc})
	}
	return keys
}
