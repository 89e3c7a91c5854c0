// Package runner reports usage to partners: it makes the reports that are due, stores each before it is sent and after it was
// answered, and sends them, so that what a partner holds is never older than what it was told before. Any number of runners
// may work at the same time, each may be killed at any step, and their clocks may be wrong: the next run makes it right.
// docs/adr/0019-reports.md says why.
//
// The way of one run (run.go): installations are worked in batches. A batch is prepared (prepare.go): timestamps are claimed,
// history and figures are read, reports are drafted (draft.go) and stored as sending, and those that another reporter overtook
// are left out. Then each installation's reports are sent, in their order (deliver.go), and what came of them is stored
// (record.go).
package runner
