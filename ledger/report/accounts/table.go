package accounts

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// tableWidth is how wide a table is at most, as far as its numbers allow: names are cut, numbers never.
const tableWidth = 100

// WriteTable writes the document for people.
func (d *Document) WriteTable(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "statement of account %s (%s)\n", plain(d.AccountID), d.Period)
	if d.SubscriptionID != "" {
		fmt.Fprintf(&b, "of its subscription %s alone\n", plain(d.SubscriptionID))
	}
	fmt.Fprintf(&b, "as of %s; rules %d\n", d.AsOf.Time, d.Rules)
	for i := range d.Statements {
		d.Statements[i].table(&b)
	}
	if _, err := io.WriteString(out, b.String()); err != nil {
		return fmt.Errorf("write the statement of account %q: %w", d.AccountID, err)
	}
	return nil
}

func (s *Statement) table(b *strings.Builder) {
	state := "so far"
	if s.Ended {
		state = "whole"
	}
	fmt.Fprintf(b, "\n%s until %s UTC, %s", bound(s.Start), bound(s.End), state)
	if s.AsOf != nil {
		fmt.Fprintf(b, ", as of position %s", s.AsOf)
	}
	b.WriteByte('\n')
	if len(s.Usage) == 0 {
		b.WriteString("\n  nothing was used\n")
	} else {
		rows := newGrid("meter", "type", "#used", "unit", "#limit")
		for i := range s.Usage {
			u := &s.Usage[i]
			rows.add(u.Meter, u.MeterType, u.Quantity.String(), u.Unit, u.limit())
		}
		rows.write(b)
	}
	if len(s.Subscriptions) > 1 || len(s.Subscriptions) == 1 && s.Subscriptions[0].Gone {
		s.bySubscription(b)
	}
	if len(s.Items) > 0 {
		rows := newGrid("subscription", "plan", "meter", "#included", "#beyond", "#price", "#total")
		for i := range s.Items {
			item := &s.Items[i]
			rows.add(item.SubscriptionID, item.PlanID, item.Meter, item.Included.String(), item.Quantity.String(), item.UnitPrice, item.Total)
		}
		rows.write(b)
	}
	if len(s.Discounts) > 0 {
		rows := newGrid("subscription", "plan", "discount", "#amount")
		for _, c := range s.Discounts {
			rows.add(c.SubscriptionID, c.PlanID, c.Name, c.Amount)
		}
		rows.write(b)
	}
	fmt.Fprintf(b, "\n  items %s, discounts %s, total %s\n", s.ItemsTotal, s.DiscountsTotal, s.Total)
}

func (s *Statement) bySubscription(b *strings.Builder) {
	gone := make(map[string]bool)
	for _, of := range s.Subscriptions {
		gone[of.ID] = of.Gone
	}
	rows := newGrid("subscription", "meter", "type", "#used", "unit", "#limit", "")
	for i := range s.BySubscription {
		u := &s.BySubscription[i]
		name, note := *u.SubscriptionID, ""
		if name == "" {
			name = "(none)"
		} else if gone[name] {
			note = "not in the catalog"
		}
		rows.add(name, u.Meter, u.MeterType, u.Quantity.String(), u.Unit, u.limit(), note)
	}
	rows.write(b)
}

// bound writes the bound of a period: midnight as its date.
func bound(text string) string { return strings.TrimSuffix(text, "T00:00:00Z") }

// grid is rows of cells under a header. A column whose head begins with # holds numbers.
type grid struct {
	head    []string
	numbers []bool
	rows    [][]string
	widths  []int
}

func newGrid(head ...string) *grid {
	g := &grid{numbers: make([]bool, len(head)), widths: make([]int, len(head))}
	for i, h := range head {
		name, number := strings.CutPrefix(h, "#")
		g.head, g.numbers[i], g.widths[i] = append(g.head, name), number, len(name)
	}
	return g
}

func (g *grid) add(cells ...string) {
	for i := range cells {
		cells[i] = plain(cells[i])
		g.widths[i] = max(g.widths[i], utf8.RuneCountInString(cells[i]))
	}
	g.rows = append(g.rows, cells)
}

// fit makes the widest names narrower until the rows fit, but none narrower than its head or a few letters.
func (g *grid) fit() {
	const least = 8
	total := 0
	for _, w := range g.widths {
		total += 2 + w
	}
	for ; total > tableWidth; total-- {
		widest := -1
		for i, w := range g.widths {
			if !g.numbers[i] && w > max(least, len(g.head[i])) && (widest < 0 || w > g.widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		g.widths[widest]--
	}
}

func (g *grid) write(b *strings.Builder) {
	g.fit()
	b.WriteByte('\n')
	for _, row := range append([][]string{g.head}, g.rows...) {
		var line strings.Builder
		for i, cell := range row {
			cell = cut(cell, g.widths[i])
			pad := strings.Repeat(" ", max(0, g.widths[i]-utf8.RuneCountInString(cell)))
			if g.numbers[i] {
				cell = pad + cell
			} else {
				cell += pad
			}
			line.WriteString("  " + cell)
		}
		b.WriteString(strings.TrimRight(line.String(), " ") + "\n")
	}
}

// cut shortens a text to so many letters.
func cut(s string, width int) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// plain keeps what would move a terminal's cursor out of a table.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\uFFFD'
		}
		return r
	}, s)
}
