// Package e2e tests the program as its users meet it: the real binary, its HTTP port, the Kafka and ClickHouse behind
// it, and the signals of the system. It has no code of its own but tests.
//
// Under the race detector the binary is built with it too, and a race that it finds fails the test. Totals are held
// against counts made here from the input by other code than the product's.
package e2e
