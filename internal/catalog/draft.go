package catalog

// draft is the entities of a document, each valid alone, before they are held against each other.
type draft struct {
	organizations []*Organization
	projects      []*Project
	accounts      []*Account
	meters        []*Meter
	plans         []*Plan
	subscriptions []*Subscription
	installations []*Installation
	credentials   []*Credential

	lines [kinds][]int32 // where each entity begins
	refs  []ref
}

// ref is an entity's mention of another, to be looked up once all are known: lists come in any order.
type ref struct {
	from  Kind
	to    Kind
	index int32 // of the entity that mentions
	line  int32
	path  string // within that entity
	id    string
}
