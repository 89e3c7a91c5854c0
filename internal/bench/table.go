package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// WriteJSON writes the report.
func (r *Report) WriteJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	return e.Encode(r)
}

// WriteTable writes the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "name\tours\tfloor\tunit\tratio\tgoal\tmet\tp50 ms\tp99 ms\tcpu s/M\tpeak MiB")
	for i := range r.Results {
		m := &r.Results[i]
		met := "no"
		switch {
		case m.Error != "":
			met = "not measured"
		case m.Met:
			met = "yes"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", m.Name, figure(m.Ours), figure(m.Floor), m.Unit, figure(m.Ratio),
			m.Goal, met, figure(m.P50), figure(m.P99), figure(m.CPU), mebibytes(m.Peak))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for i := range r.Results {
		m := &r.Results[i]
		if m.Error != "" {
			fmt.Fprintf(w, "%s was not measured: %s\n", m.Name, m.Error)
		}
		if len(m.Extra) > 0 {
			fmt.Fprintf(w, "%s: %s\n", m.Name, extras(m.Extra))
		}
	}
	p := &r.Machine
	_, err := fmt.Fprintf(w, "%s, %d processors (%d used), %s/%s, %s, load %s at the begin; seed %d; %.0f s\n",
		p.CPU, p.Processors, p.GoMaxProcs, p.OS, p.Arch, p.Go, p.Load, r.Seed, r.Took)
	if r.Quick && err == nil {
		_, err = fmt.Fprintln(w, "--quick: the bounds were tiny and the figures mean nothing")
	}
	return err
}

func extras(m map[string]float64) string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	var b strings.Builder
	for i, name := range names {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(name + " " + figure(new(m[name])))
	}
	return b.String()
}

// figure shows three digits or more, and never an exponent.
func figure(v *float64) string {
	switch {
	case v == nil:
		return "–"
	case *v >= 100 || *v <= -100:
		return strconv.FormatFloat(*v, 'f', 0, 64)
	case *v >= 10 || *v <= -10:
		return strconv.FormatFloat(*v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(*v, 'f', 2, 64)
	}
}

func mebibytes(v *int64) string {
	if v == nil {
		return "–"
	}
	return strconv.FormatInt(*v>>20, 10)
}
