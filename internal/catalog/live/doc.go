// Package live is the catalog that changes while everything runs: it follows the topic `catalog`, and writes to it.
//
// A Reader reads the topic from its beginning and hands every record to a catalog.Machine, which alone decides. A Writer
// appends changes and learns what became of them where everybody else does: from the log, by its own process's Reader. So
// there is no lock and no leader, and a change that was acknowledged is in force in this process when its writer is told.
package live
