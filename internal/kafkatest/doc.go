// Package kafkatest starts a cluster of real Apache Kafka brokers for tests: three processes, each broker and
// controller, on loopback, in directories of their own. Tests that need it have the build tag kafka; `make test-kafka`
// runs them. It needs a JDK of version 17 or newer, and Maven to fetch the brokers once.
//
// Kafka's own Java client runs beside them (Admin), for what tests do to a cluster and for what it is to be compared
// with.
package kafkatest
