package catalog

import "fmt"

// Moved returns why an entity cannot take the place of the one before it, or nil. The ids of events, what is seen of them
// and the headroom of limits are an account's: a subscription of another account would count a retry twice and give its
// limit anew, and an account of another organization would show its usage to strangers.
//
// It is a rule for those who write changes, and no rule of the log's: whoever deletes an entity and makes it anew has said
// what is meant.
func Moved(before, after Entity) *Fault {
	switch after := after.(type) {
	case *Subscription:
		if was, ok := before.(*Subscription); ok && was.AccountID != after.AccountID {
			return &Fault{Result: CheckFailed, Path: "account", Message: fmt.Sprintf(
				"subscription %q is of account %s and stays there, with its usage: make a new subscription for the other account", clip(after.ID), was.AccountID)}
		}
	case *Account:
		if was, ok := before.(*Account); ok && was.OrganizationID != after.OrganizationID {
			return &Fault{Result: CheckFailed, Path: "organization", Message: fmt.Sprintf(
				"account %s is of organization %q and stays there, with its usage: make a new account for the other organization", after.ID, clip(was.OrganizationID))}
		}
	}
	return nil
}
