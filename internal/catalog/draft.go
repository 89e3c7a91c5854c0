package catalog

// list is a list of a catalog document.
type list uint8

const (
	organizationList list = iota
	projectList
	accountList
	meterList
	planList
	subscriptionList
	installationList
	credentialList
	lists // how many
)

var listNames = [lists]string{
	"organizations", "projects", "accounts", "meters", "plans", "subscriptions", "installations", "credentials",
}

var singular = [lists]string{
	"organization", "project", "account", "meter", "plan", "subscription", "installation", "credential",
}

func (l list) String() string { return listNames[l] }

// draft is the entities of a document, each valid alone, before they are held against each other.
type draft struct {
	organizations []Organization
	projects      []Project
	accounts      []Account
	meters        []Meter
	plans         []Plan
	subscriptions []Subscription
	installations []Installation
	credentials   []Credential

	lines [lists][]int32 // where each entity begins
	refs  []ref
}

// ref is an entity's mention of another, to be looked up once all are known: lists come in any order.
type ref struct {
	from  list
	to    list
	index int32 // of the entity that mentions
	line  int32
	path  string // within that entity
	id    string
}
