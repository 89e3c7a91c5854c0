// Package reckoner holds the nouns of usage metering: events, outcomes, quantities, meters, periods and positions.
//
// It imports only the standard library, and every other package may import it. Nothing in it reads a clock, rolls
// dice or keeps state, so that what is built of these nouns can be replayed bit for bit.
package reckoner
