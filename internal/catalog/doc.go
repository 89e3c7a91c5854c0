// Package catalog knows who is metered and how: organizations, projects, billing accounts, meters, plans,
// subscriptions, installations and credentials.
//
// A Catalog is an immutable snapshot. Parse makes one from a YAML or JSON document: a reader (yaml.go, json.go) walks
// the document and hands every entity over as a small tree, decode*.go turns the tree into an entity and judges the
// entity alone, and check*.go judges the entities together and builds the indexes. Nothing but the readers knows where
// entities come from. File follows a document on disk.
package catalog
