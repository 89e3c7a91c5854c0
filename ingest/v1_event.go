package ingest

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"reckoner"
	"reckoner/internal/catalog"
	"reckoner/ledger"
)

// The JSON of an event's story.
type (
	storyJSON struct {
		AccountID     string      `json:"account_id"`
		ID            string      `json:"id"`
		Events        []eventJSON `json:"events"`
		NextPageToken string      `json:"next_page_token,omitempty"`
	}
	// eventJSON is one event as it was decided. What a refusal does not keep is null.
	eventJSON struct {
		Kind           string             `json:"kind"`
		Outcome        string             `json:"outcome"`
		Reason         string             `json:"reason,omitempty"` // of a refusal
		Requested      *reckoner.Quantity `json:"requested"`        // null: a revert of all of its usage, or not readable
		Quantity       reckoner.Quantity  `json:"quantity"`         // what counts, of a revert negative
		Limit          *reckoner.Quantity `json:"limit"`            // in force when it was received; null: none
		Type           string             `json:"type"`
		Meter          string             `json:"meter"`
		MeterType      string             `json:"meter_type"`
		Unit           string             `json:"unit"`
		OrganizationID string             `json:"organization_id"`
		ProjectID      string             `json:"project_id"`
		SubscriptionID string             `json:"subscription_id"`
		Period         *periodJSON        `json:"period"`
		Bucket         *string            `json:"bucket"`
		UsageTime      *string            `json:"usage_time"`
		ReceivedAt     string             `json:"received_at"`
		UpdatedAt      *string            `json:"updated_at"` // as the producer gave it
		Source         string             `json:"source"`
		Description    string             `json:"description"`
		UserID         string             `json:"user_id"`
		CustomerID     string             `json:"customer_id"`
		Metadata       json.RawMessage    `json:"metadata"`
		Position       *positionJSON      `json:"position"`
		Fingerprint    string             `json:"fingerprint"`
		Rules          uint32             `json:"rules"`
		Revert         *relatedJSON       `json:"revert,omitempty"` // of a usage: what took it back
		Usage          *relatedJSON       `json:"usage,omitempty"`  // of a revert: what it names
		Reports        []reportJSON       `json:"reports"`          // to partners, that carried it
	}
	periodJSON struct {
		Start string `json:"start"`
		End   string `json:"end"`
	}
	// relatedJSON is another event of the account. Of a usage that does not count there is the id alone.
	relatedJSON struct {
		ID         string             `json:"id"`
		Outcome    string             `json:"outcome,omitempty"`
		Quantity   *reckoner.Quantity `json:"quantity,omitempty"`
		ReceivedAt string             `json:"received_at,omitempty"`
		Position   *positionJSON      `json:"position,omitempty"`
	}
)

// event answers with all that became of an id of an account.
func (v *v1) event(c *call) error {
	q, err := parseStoryQuery(c.r.URL.RawQuery)
	account, notFound := v.account(c, c.params["account"])
	switch {
	case notFound != nil:
		return notFound
	case err != nil:
		return err
	}
	q.AccountID, q.EventID = account.ID, reckoner.CanonicalID(c.params["id"])
	limit := q.Limit
	q.Limit++ // one more tells whether there are more
	ctx, cancel := context.WithTimeout(c.r.Context(), v.limits.QueryTimeout)
	defer cancel()
	var story []ledger.StoryEvent
	if len(q.EventID) <= reckoner.MaxIDBytes {
		if story, err = v.ledger.Story(ctx, q); err != nil {
			return unread(err)
		}
	}
	if len(story) == 0 && q.After == nil {
		return v.noEvent(ctx, &q)
	}
	answer := storyJSON{AccountID: q.AccountID, ID: q.EventID, Events: make([]eventJSON, min(len(story), limit))}
	for i := range answer.Events {
		answer.Events[i] = eventOf(c.catalog, &story[i])
		// Of one id there are two entries at most, a usage and a revert.
		if answer.Events[i].Reports, err = v.reportsOf(ctx, story[i].Entry); err != nil {
			return err
		}
	}
	if len(story) > limit {
		answer.NextPageToken = story[limit-1].Position().String()
	}
	return v.answerJSON(c, http.StatusOK, answer)
}

// noEvent says how far the ledger is: an event that is not decided yet has no story.
func (v *v1) noEvent(ctx context.Context, q *ledger.StoryQuery) error {
	decided, ok, err := v.ledger.Decided(ctx, q.AccountID)
	if err != nil {
		return unread(err)
	}
	far := "nothing of this account's partition is decided yet"
	if ok {
		far = fmt.Sprintf("of partition %d, which is this account's, all before offset %d of log %d is decided", decided.Partition, decided.Offset, decided.Log)
	}
	return reckoner.Errorf(reckoner.NotFound, "the ledger has no event %q of this account; one that was accepted a moment ago may not be decided yet: %s",
		clip(q.EventID), far)
}

// parseStoryQuery reads the query of a request for an event. A page token is the position of the last event before.
func parseStoryQuery(raw string) (ledger.StoryQuery, error) {
	q, err := readQuery(raw, "limit", "page_token")
	if err != nil {
		return ledger.StoryQuery{}, err
	}
	story := ledger.StoryQuery{Limit: q.limit(storyLimit, storyMax)}
	if token := q.text("page_token"); token != "" {
		p, err := reckoner.ParsePosition(token)
		if err != nil {
			q.add("page_token", "want one that an answer gave")
		}
		story.After = &p
	}
	return story, q.err()
}

func eventOf(c *catalog.Catalog, s *ledger.StoryEvent) eventJSON {
	var e eventJSON
	if s.Entry != nil {
		e = entryJSON(s.Entry)
	} else {
		e = refusalJSON(s.Refusal)
	}
	meter, _ := c.Meter(e.Meter)
	e.Unit = meter.Unit
	p := s.Position()
	e.Position = positionOf(&p)
	e.Revert = relatedOf(s.Revert)
	if s.Usage != nil {
		e.Usage = relatedOf(s.Usage)
	} else if s.Refusal != nil && s.Refusal.UsageID != "" {
		e.Usage = &relatedJSON{ID: s.Refusal.UsageID}
	}
	return e
}

func entryJSON(e *ledger.Entry) eventJSON {
	bucket := inZone(e.Bucket, time.UTC)
	return eventJSON{
		Kind: e.Kind.String(), Outcome: e.Outcome.String(), Requested: e.Requested, Quantity: e.Quantity, Limit: e.Limit, Type: e.Type,
		Meter: e.Meter, MeterType: e.MeterType.String(), OrganizationID: e.OrganizationID, ProjectID: e.ProjectID, SubscriptionID: e.SubscriptionID,
		Period: &periodJSON{inZone(e.Period.Start, time.UTC), inZone(e.Period.End, time.UTC)}, Bucket: &bucket, UsageTime: maybeTime(e.UsageTime),
		ReceivedAt: inZone(e.ReceivedAt, time.UTC), UpdatedAt: maybeTime(e.UpdatedAt), Source: e.Source, Description: e.Description,
		UserID: e.UserID, CustomerID: e.CustomerID, Metadata: metadataJSON(e.Metadata),
		Fingerprint: hex.EncodeToString(e.Fingerprint[:]), Rules: e.Rules,
	}
}

func refusalJSON(r *ledger.Refusal) eventJSON {
	e := eventJSON{
		Outcome: r.Outcome.String(), Reason: r.Reason, Requested: r.Requested, Type: r.Type, Meter: r.Meter,
		OrganizationID: r.OrganizationID, ProjectID: r.ProjectID, SubscriptionID: r.SubscriptionID, UsageTime: maybeTime(r.UsageTime),
		ReceivedAt: inZone(r.ReceivedAt, time.UTC), Source: r.Source, Metadata: metadataJSON(nil),
		Fingerprint: hex.EncodeToString(r.Fingerprint[:]), Rules: r.Rules,
	}
	if r.Kind != 0 { // of what could not be decoded nothing may be known
		e.Kind = r.Kind.String()
	}
	if r.MeterType != 0 {
		e.MeterType = r.MeterType.String()
	}
	return e
}

func relatedOf(e *ledger.Entry) *relatedJSON {
	if e == nil {
		return nil
	}
	return &relatedJSON{
		ID: e.EventID, Outcome: e.Outcome.String(), Quantity: &e.Quantity, ReceivedAt: inZone(e.ReceivedAt, time.UTC), Position: positionOf(&e.Position),
	}
}

// maybeTime is nil for the zero time.
func maybeTime(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	text := inZone(t, time.UTC)
	return &text
}
