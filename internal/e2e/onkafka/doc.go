// Package onkafka holds tests of internal/bus against three brokers of Apache Kafka. They have the build tag kafka;
// `make test-kafka` runs them.
package onkafka
