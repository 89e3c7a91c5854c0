package config

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// entry is a setting as it is in force.
type entry struct {
	name   string
	value  string // as it may be shown
	origin string // a flag, a variable or a file; empty: the default
}

// Print writes every setting that is in force, and where it came from. Secrets are not shown.
func (s *Settings) Print(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, e := range s.inForce {
		origin := e.origin
		if origin == "" {
			origin = "default"
		}
		if _, err := fmt.Fprintf(t, "%s\t%s\t%s\n", e.name, yamlText(e.value), origin); err != nil {
			return err
		}
	}
	return t.Flush()
}
