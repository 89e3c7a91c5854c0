package catalog

import (
	"fmt"
	"slices"
	"time"
)

// Moved returns why an entity cannot take the place of the one before it, or nil. The ids of events, what is seen of them
// and the headroom of limits are an account's: a subscription of another account would count a retry twice and give its
// limit anew, and an account of another organization would show its usage to strangers.
//
// Nor can a dimension of an installation at AWS begin at another time: what AWS was told stays there, so a later beginning would
// make a debt of it, and an earlier one bill what was never to be billed.
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
	case *Installation:
		if was, ok := before.(*Installation); ok && was.AWS != nil && after.AWS != nil {
			return rebegun(after, was.AWS)
		}
	}
	return nil
}

// rebegun returns the fault of an installation of which a dimension begins at another time than it did.
func rebegun(in *Installation, was *Marketplace) *Fault {
	for i := range in.AWS.Dimensions {
		d := &in.AWS.Dimensions[i]
		at := slices.IndexFunc(was.Dimensions, func(o Dimension) bool { return o.Dimension == d.Dimension })
		if at < 0 {
			continue
		}
		if from := was.Start(&was.Dimensions[at]); !from.Equal(in.AWS.Start(d)) {
			return &Fault{Result: CheckFailed, Path: "aws", Message: fmt.Sprintf(
				"dimension %q of installation %q begins at %s and stays so, because AWS was told what was used since: make a new installation for another beginning",
				clip(d.Dimension), clip(in.ID), from.UTC().Format(time.RFC3339))}
		}
	}
	return nil
}
