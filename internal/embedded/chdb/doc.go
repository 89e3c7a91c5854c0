// Package chdb runs ClickHouse inside this process and serves its HTTP
// interface, so that development, tests and production speak one SQL dialect
// through one client.
//
// The engine is libchdb, a shared library of 560 MB that is never committed.
// [Library] finds it or fetches it through npm; [Open] loads it without cgo and
// opens a data directory; [Engine.Handler] speaks the ClickHouse HTTP interface
// over it, and [Engine.Transport] does the same without a socket.
//
// What a user of the package must know:
//
//   - One process holds one data directory, and one data directory belongs to
//     one process. Both are refused with an error that says who is in the way.
//   - An insert is whole or absent: the data is complete before the engine sees
//     the first byte of it, and a client that goes away never stops an insert.
//   - Settings of a query never reach another query: a connection of the engine
//     is configured once, when it is made, and serves only queries that ask for
//     exactly the same configuration.
//   - There is no authentication beyond user default without a password. Serve
//     it on a loopback address.
//
// docs/adr/0003-embedded-clickhouse.md records what was measured and what is
// not supported.
package chdb
