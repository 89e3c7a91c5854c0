// Package catalog knows who is metered and how: organizations, projects, billing accounts, meters, plans,
// subscriptions, installations and credentials. It reads no file and speaks to nobody; package live does.
//
// A Catalog is an immutable snapshot of copy-on-write tables (table.go, link.go). It comes about in two ways. Parse makes
// one from a YAML or JSON document: a reader (yaml.go, json.go) walks the document and hands every entity over as a small
// tree, decode*.go turns the tree into an entity and judges the entity alone, and build.go holds the entities against each
// other. A Machine makes one from the topic `catalog`: it decides one Change after the other, in the order of the log
// (machine.go, judge.go). Both ask the same questions (check.go): a row of accepted changes always leads to a document
// that Parse takes. A Diff (diff*.go) is a row of changes that leads from a catalog to a document.
package catalog
