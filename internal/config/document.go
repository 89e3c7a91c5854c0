package config

import (
	"fmt"
	"strings"
)

const documentHead = `# Reckoner's settings: every key, with its default, what it may be, and why it exists. All are commented out, so that
# this file changes nothing; take the # away from a key to set it.
#
# Flags go before environment variables, those before this file, and that before the defaults. The variable of a key is
# its name in capitals: ingest.max_age is RECKONER_INGEST_MAX_AGE. Unknown keys and unknown RECKONER_ variables are
# errors. The file is the one that --config or RECKONER_CONFIG names, else configs/reckoner.yaml where the process was
# started. "reckoner config" prints what is in force, and where each value came from.
`

// Document returns the commented settings file: configs/reckoner.yaml.
func Document() []byte {
	var b strings.Builder
	b.WriteString(documentHead)
	section := ""
	for _, k := range Describe() {
		name, indent := k.Name, ""
		if s, rest, ok := strings.Cut(k.Name, "."); ok {
			if s != section {
				fmt.Fprintf(&b, "\n%s:", s)
				section = s
			}
			name, indent = rest, "  "
		}
		b.WriteByte('\n')
		wrap(&b, indent+"# ", k.Reason)
		note := "Allowed: " + k.Allowed + "."
		if k.Unit != "" {
			note = "Unit: " + k.Unit + ". " + note
		}
		if k.Flag != "" {
			note += " Flag: --" + k.Flag + "."
		}
		wrap(&b, indent+"# ", note)
		fmt.Fprintf(&b, "%s#%s: %s\n", indent, name, yamlText(k.Default))
	}
	return []byte(b.String())
}

func yamlText(s string) string {
	if s == "" || strings.ContainsAny(s, ":#") {
		return `"` + s + `"`
	}
	return s
}

// wrap writes text in lines of at most 120 columns.
func wrap(b *strings.Builder, prefix, text string) {
	const width = 120
	line := prefix
	for word := range strings.SplitSeq(text, " ") {
		if len(line)+len(word) > width && line != prefix {
			b.WriteString(strings.TrimRight(line, " ") + "\n")
			line = prefix
		}
		line += word + " "
	}
	b.WriteString(strings.TrimRight(line, " ") + "\n")
}

func firstSentence(s string) string {
	first, _, _ := strings.Cut(s, ". ")
	return strings.TrimSuffix(first, ".")
}
