// Package awsmarketplace reports usage to the AWS Marketplace by BatchMeterUsage: whole units of a product's dimensions, an
// hour at a time. AWS adds up what it is told and takes nothing back, so a report says what is owed: all that was used from
// the catalog's from to the end of the hour, less what was reported before, in whole units and never below 0. What is left
// over, late or reverted goes into a later hour by itself. docs/adr/0021-aws-marketplace.md says why.
//
// The way of one report: Due says which hours are to be reported (hours.go); Draft adds up what is owed (draft.go) from the
// account of what was reported, which every report carries in its State (state.go), after it settled what came of earlier
// hours (settle.go); Deliver sends the stored bytes (deliver.go, payload.go) and keeps what came of every record (answer.go).
package awsmarketplace
