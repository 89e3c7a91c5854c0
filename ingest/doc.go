// Package ingest is the HTTP tier: it takes usage and reverts, resolves the names in them through the catalog, stamps
// what it resolved into the events, and answers only when every in-sync replica of the log has them.
//
// A dialect is a set of routes with its own JSON and its own errors (frontier.go, usages.go). What dialects share knows nothing of
// either: auth.go, resolve.go, publish.go, await.go, body.go.
//
// # The order of checks
//
// Every request passes, in this order, and the first that fails makes the answer:
//
//  1. the route: an unknown path, then a wrong method; also for callers nobody knows
//  2. the credential, then its scope; the API's description needs none
//  3. the body: size, time to arrive, JSON, then the fields of every usage
//  4. the organization (named, its project's, or its account's), and whether the credential may act for it
//  5. the billing account
//  6. what needs the catalog or the clock: meter, subscription, period, bounds of time
//
// Nothing is written before all of it has passed for every usage of the request. One snapshot of the catalog serves the
// whole request.
//
// # Accounts that are not active
//
// A usage that names its account counts whatever the account's state is: it has happened, and late reports of a closed
// account must not be lost. Only the choice of an account for a request that names none looks at the state.
package ingest
