package app

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"reckoner"
)

// print writes the day for people.
func (s *shownDay) print(out io.Writer) error {
	fmt.Fprintf(out, "installation %s of %s, account %s\n", shown(s.Installation), s.Target, s.Account)
	for _, p := range s.Parts {
		if err := p.print(out); err != nil {
			return err
		}
	}
	return nil
}

func (p *shownPart) print(out io.Writer) error {
	fmt.Fprintf(out, "\nday from %s to %s, of the period from %s to %s\n\n", moment(p.DayStart), moment(p.DayEnd), moment(p.PeriodStart), moment(p.PeriodEnd))
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "timestamp\tstatus\tattempts\tcode\tas of\tSHA-256 of the payload\tanswer")
	for i := range p.Reports {
		r := &p.Reports[i]
		answer, asOf, sum := r.Response, r.AsOf, r.SHA256
		if r.Error != "" {
			answer = r.Error
		}
		if answer = shown(answer); answer == `""` {
			answer = "-"
		}
		if asOf == "" {
			asOf = "no usage"
		}
		if r.Stale {
			asOf += " (stale)"
		}
		if sum == "" {
			sum = "-"
		}
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%s\t%s\t%s\n", moment(r.Timestamp), r.Status, r.Attempt, r.Code, asOf, sum, answer)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	p.printAnswer(out)
	if p.newest == nil {
		return nil
	}
	fmt.Fprintf(out, "\nfigures of the report of %s\n", moment(p.Of))
	if p.Differ > 0 {
		fmt.Fprintf(out, "  BUT the report that was sent says otherwise in %d places: run `reckoner report check --installation %s`\n", p.Differ, shown(p.newest.InstallationID))
	}
	if err := p.printRows(out); err != nil {
		return err
	}
	for i := range p.Figures {
		if err := p.Figures[i].write(out); err != nil {
			return err
		}
	}
	if p.Payload != "" {
		_, err := fmt.Fprintf(out, "\npayload of the report of %s\n%s\n", moment(p.Of), p.Payload)
		return err
	}
	return nil
}

// printAnswer writes in full what went wrong with the newest report that was sent, and what the partner answered: a table has no room for it.
func (p *shownPart) printAnswer(out io.Writer) {
	for _, r := range slices.Backward(p.Reports) {
		if r.Attempt == 0 {
			continue
		}
		if r.Error == "" {
			return
		}
		fmt.Fprintf(out, "\nwhat became of the report of %s\n", moment(r.Timestamp))
		for line := range strings.Lines(r.Error) {
			fmt.Fprintf(out, "  %s\n", printable(strings.TrimSuffix(line, "\n")))
		}
		if r.Response != "" {
			fmt.Fprintf(out, "  the partner's answer: %s\n", printable(r.Response))
		}
		return
	}
}

// printable returns a text of others in full, quoted where a terminal would not show it as it is.
func printable(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return !strconv.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}

// printRows writes what the report says of each meter.
func (p *shownPart) printRows(out io.Writer) error {
	if len(p.Rows) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\nresource\tmeter\ttype\tday\tperiod\tlimit\tunit")
	for i := range p.Rows {
		r := &p.Rows[i]
		resource, limit := "(all)", "-"
		if r.Resource != "" {
			resource = r.Resource
		}
		if r.Limit != nil {
			limit = r.Limit.String()
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", resource, r.Meter, r.Type, r.Day, r.Period, limit, r.Unit)
	}
	return t.Flush()
}

func (f *shownFigure) write(out io.Writer) error {
	subscription := "usage without a subscription"
	if f.Subscription != "" {
		subscription = "subscription " + shown(f.Subscription)
	}
	from := ""
	if !f.From.IsZero() {
		from = "from " + moment(f.From) + " "
	}
	fold := ""
	switch f.kind {
	case reckoner.Interval:
		fold = "the sum"
	case reckoner.Total:
		fold = "the newest"
	case reckoner.Rate:
		fold = "the greatest"
	}
	fmt.Fprintf(out, "\n%s, %s, %s, %sto %s: %s, %s of %d\n", subscription, f.Meter, f.When, from, moment(f.To), f.Quantity, fold, f.Count)
	if f.ComeTo != nil {
		fmt.Fprintf(out, "  BUT the entries come to %s: run `reckoner verify`\n", f.ComeTo)
	}
	t := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "  event\tkind\ttime of use\tquantity\toutcome\tposition\treverts")
	for i := range f.Entries {
		e := &f.Entries[i]
		reverts := "-"
		if e.UsageID != "" {
			reverts = shown(e.UsageID)
		}
		fmt.Fprintf(t, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\n", shown(e.EventID), e.Kind, moment(e.UsageTime), e.Quantity, e.Outcome, e.Position, reverts)
	}
	if more := f.Count - len(f.Entries); more > 0 {
		fmt.Fprintf(t, "  … and %d more; --limit 0 shows all\n", more)
	}
	return t.Flush()
}
