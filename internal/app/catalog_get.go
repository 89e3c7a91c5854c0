package app

import (
	"context"
	"fmt"
	"io"
	"strings"

	"reckoner/internal/catalog"
)

// CatalogGetOptions say what of the catalog is written, and how.
type CatalogGetOptions struct {
	Kind   string // singular or plural; empty: every kind
	ID     string // of that kind; empty: all
	JSON   bool   // else YAML
	Hashes bool   // with the hashes of secrets
}

// CatalogGet is the command `catalog get`: it writes the catalog, or a part of it, as a document that can be applied.
func CatalogGet(ctx context.Context, p *Process, out io.Writer, o CatalogGetOptions) error {
	e := catalog.ExportOptions{Key: o.ID, Secrets: o.Hashes}
	if o.Kind != "" {
		kind, ok := catalog.ParseKind(o.Kind)
		if !ok {
			return unknownKind(o.Kind)
		}
		e.Kinds = []catalog.Kind{kind}
	}
	_, reader, err := p.catalogReader(ctx)
	if err != nil {
		return err
	}
	c := reader.Current()
	if e.Key != "" {
		if _, _, ok := c.Entity(e.Kinds[0], e.Key); !ok {
			return fmt.Errorf("the catalog has no %s %q", e.Kinds[0], e.Key)
		}
	}
	if o.JSON {
		return catalog.ExportJSON(out, c, e)
	}
	return catalog.ExportYAML(out, c, e)
}

func unknownKind(name string) error {
	names := make([]string, 0, len(catalog.Kinds()))
	for _, k := range catalog.Kinds() {
		names = append(names, k.Plural())
	}
	return fmt.Errorf("unknown kind %q: want one of %s", name, strings.Join(names, ", "))
}
