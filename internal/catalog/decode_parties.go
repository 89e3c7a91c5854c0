package catalog

import (
	"encoding/hex"
	"strings"

	"reckoner"
)

// Each of these decodes one entity, judges it alone and adds it to the draft. An entity with a fault in it is
// added too, so that its place in the list is its index, and a reference to it is no further fault.

func (d *decoder) organization(n *node) {
	o := new(Organization)
	d.object(n, []string{"id", "name"}, func(f *field) {
		switch f.key {
		case "id":
			o.ID = d.id(f)
		case "name":
			o.Name = d.text(f)
		}
	})
	d.organizations = append(d.organizations, o)
	d.want(n, "id", o.ID)
}

func (d *decoder) project(n *node) {
	p := new(Project)
	d.object(n, []string{"id", "name", "organization"}, func(f *field) {
		switch f.key {
		case "id":
			p.ID = d.id(f)
		case "name":
			p.Name = d.text(f)
		case "organization":
			p.OrganizationID = d.refer(OrganizationKind, f)
		}
	})
	d.projects = append(d.projects, p)
	d.want(n, "id", p.ID)
	d.want(n, "organization", p.OrganizationID)
}

func (d *decoder) account(n *node) {
	a := new(Account)
	keys := []string{"id", "organization", "state", "created_at", "default_subscription"}
	d.object(n, keys, func(f *field) {
		switch f.key {
		case "id":
			if a.ID = d.id(f); a.ID != "" && !reckoner.IsUUID(a.ID) {
				d.fault(f.line, "%q is not a UUID", clip(a.ID))
			}
		case "organization":
			a.OrganizationID = d.refer(OrganizationKind, f)
		case "state":
			a.State = State(d.choice(f, stateNames[:]...))
		case "created_at":
			a.CreatedAt = d.time(f)
		case "default_subscription":
			a.DefaultSubscription = d.refer(SubscriptionKind, f)
		}
	})
	d.accounts = append(d.accounts, a)
	d.want(n, "id", a.ID)
	d.want(n, "organization", a.OrganizationID)
}

func (d *decoder) credential(n *node) {
	cr := new(Credential)
	hashed := false
	keys := []string{"id", "secret_sha256", "scopes", "organizations"}
	ok := d.object(n, keys, func(f *field) {
		switch f.key {
		case "id":
			if cr.ID = d.text(f); strings.Contains(cr.ID, ":") {
				d.fault(f.line, "%q: a credential's id has no colon, because id:secret is how it is used", clip(cr.ID))
			}
		case "secret_sha256":
			hashed = true
			d.hash(f, cr)
		case "scopes":
			d.elements(f, func(n *node) { d.scope(n, cr) })
		case "organizations":
			d.elements(f, func(n *node) { d.organizationOf(n, cr) })
		}
	})
	d.credentials = append(d.credentials, cr)
	if ok && !hashed && !d.kept(cr) {
		d.fault(n.line, "secret_sha256 is missing: the SHA-256 of the secret, in hex")
	}
	d.want(n, "id", cr.ID)
}

// kept gives a credential the hash of the present one.
func (d *decoder) kept(cr *Credential) bool {
	is, ok := d.keeps.(*Credential)
	if d.present != nil {
		is, ok = d.present.Credential(cr.ID)
	}
	if ok {
		cr.SecretHash = is.SecretHash
	}
	return ok
}

func (d *decoder) hash(f *field, cr *Credential) {
	b, err := hex.DecodeString(f.value.text)
	if err != nil || len(b) != len(cr.SecretHash) {
		// Never repeat what stands there: it may be the secret itself.
		d.fault(f.line, "want %d hex digits: the SHA-256 of the secret, as sha256sum prints it", 2*len(cr.SecretHash))
		return
	}
	copy(cr.SecretHash[:], b)
}

func (d *decoder) scope(n *node, cr *Credential) {
	words := make([]string, 0, len(Scopes()))
	for _, s := range Scopes() {
		words = append(words, string(s))
	}
	before := len(d.all) + d.more
	if i := d.choice(&field{line: n.line, value: *n}, words...); len(d.all)+d.more == before {
		cr.Scopes = append(cr.Scopes, Scopes()[i])
	}
}

func (d *decoder) organizationOf(n *node, cr *Credential) {
	f := &field{line: n.line, value: *n}
	if n.kind == nodeText && n.text == everyOrganization {
		cr.Organizations = append(cr.Organizations, everyOrganization)
		return
	}
	cr.Organizations = append(cr.Organizations, d.refer(OrganizationKind, f))
}
