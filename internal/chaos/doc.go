// Package chaos holds tests that hurt the real binary, run as separate processes, while producers send: processes are
// killed, frozen and lose their disks, ClickHouse and Kafka fail in every way. An oracle of its own, which shares no
// decision with the product, then counts everything again. `make chaos` runs the long form. docs/adr/0011-faults.md.
package chaos
