package app

import (
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"reckoner"
)

// DeadLetterListOptions say what of the dead letters is listed.
type DeadLetterListOptions struct {
	Limit     int   // at most so many; 0: all
	Partition int32 // of the log; negative: all
}

// ListDeadLetters is the command `deadletter list`: a line for each record that was no valid event.
func ListDeadLetters(ctx context.Context, p *Process, out io.Writer, o DeadLetterListOptions) error {
	client, err := p.kafka()
	if err != nil {
		return err
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "POSITION\tTIME\tKEY\tBYTES\tREASON")
	listed, more := 0, false
	for d, err := range p.deadLetters(ctx, client) {
		if err != nil {
			return err
		}
		if o.Partition >= 0 && d.Position.Partition != o.Partition {
			continue
		}
		if more = o.Limit > 0 && listed == o.Limit; more {
			break
		}
		listed++
		bytes := max(len(d.Value), d.OmittedBytes)
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\n", d.Position, d.Time.Format(time.RFC3339), shown(d.Key), bytes, shown(d.Reason))
		if listed%1000 == 0 { // else all of it is held to align it
			if err := t.Flush(); err != nil {
				return err
			}
		}
	}
	if more {
		fmt.Fprintf(t, "… and more; --limit 0 lists all\n")
	}
	return t.Flush()
}

// ShowDeadLetter is the command `deadletter show`: one dead letter with all that it holds.
func ShowDeadLetter(ctx context.Context, p *Process, out io.Writer, position string) error {
	at, err := reckoner.ParsePosition(position)
	if err != nil {
		return err
	}
	client, err := p.kafka()
	if err != nil {
		return err
	}
	d, err := p.findDeadLetter(ctx, client, at)
	if err != nil {
		return err
	}
	e, refusal := acceptable(&d)
	verdict := "this build would take it: `reckoner deadletter requeue " + at.String() + "`"
	if refusal != nil {
		verdict = "would be refused again: " + shown(refusal.Error())
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "position\t%s\ntime\t%s\nkey\t%s\nreason\t%s\nnow\t%s\n", d.Position, d.Time.Format(time.RFC3339Nano), shown(d.Key), shown(d.Reason), verdict)
	for _, h := range d.Headers {
		fmt.Fprintf(t, "header %s\t%s\n", shown(h.Key), shown(h.Value))
	}
	if e != nil {
		for _, f := range eventFields(e) {
			fmt.Fprintf(t, "event %s\t%s\n", f[0], shown(f[1]))
		}
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "value, %d bytes\n%s", len(d.Value), hex.Dump(d.Value))
	return err
}

// eventFields returns what is set of an event, as name and text.
func eventFields(e *reckoner.Event) (fields [][2]string) {
	add := func(name, text string) {
		if text != "" {
			fields = append(fields, [2]string{name, text})
		}
	}
	instant := func(name string, t time.Time) {
		if !t.IsZero() {
			add(name, t.Format(time.RFC3339Nano))
		}
	}
	w := &e.Written
	add("rules", fmt.Sprint(e.Rules))
	add("kind", e.Kind.String())
	add("id", e.ID)
	add("account_id", e.AccountID)
	add("usage_id", w.UsageID)
	if w.Quantity != nil {
		add("quantity", w.Quantity.String())
	}
	if w.AcceptPartial {
		add("accept_partial", "true")
	}
	add("type", e.Type)
	add("source", w.Source)
	add("subscription_id", e.SubscriptionID)
	add("meter", strings.TrimSpace(e.Meter.Name+" ("+e.Meter.Type.String()+")"))
	if e.Limit != nil {
		add("limit", e.Limit.String())
	}
	instant("period_start", e.Period.Start)
	instant("period_end", e.Period.End)
	instant("usage_time", e.UsageTime)
	instant("received_at", e.ReceivedAt)
	instant("updated_at", e.UpdatedAt)
	add("organization_id", e.OrganizationID)
	add("project_id", e.ProjectID)
	add("description", e.Description)
	add("user_id", e.UserID)
	add("customer_id", e.CustomerID)
	add("reply_to", e.ReplyTo)
	for _, l := range e.Metadata {
		add("metadata "+shown(l.Key), l.Value)
	}
	return fields
}
