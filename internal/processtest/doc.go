// Package processtest runs the real binary as separate processes for tests: it builds it, starts, freezes, kills and ends
// processes, and fails a test for what no process may ever do. No process outlives the test run.
package processtest
