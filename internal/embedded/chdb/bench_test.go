package chdb_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"reckoner/internal/embedded/chdb"
	"reckoner/internal/embedded/chdb/chdbtest"
)

// BenchmarkEngine gives the figures of docs/adr/0003-embedded-clickhouse.md.
func BenchmarkEngine(b *testing.B) {
	client := http.Client{Transport: chdbtest.Open(b, chdb.Options{}).Transport()}
	post := func(b *testing.B, query, body string) string {
		res, err := client.Post("http://embedded/?"+query, "", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK {
			b.Fatalf("%d %s %v", res.StatusCode, text, err)
		}
		return string(text)
	}
	const table = " (id UInt64, account String, quantity Decimal(38,3), at DateTime64(9,'UTC')) ENGINE = MergeTree ORDER BY (account, id)"
	post(b, "", "CREATE TABLE fast"+table)
	post(b, "", "CREATE TABLE safe"+table+" SETTINGS fsync_after_insert = 1, fsync_part_directory = 1")
	rows := func(n int) string {
		return post(b, "", fmt.Sprintf("SELECT number AS id, toString(number %% 500) AS account, toDecimal128(number, 3) AS quantity, toDateTime64('2026-01-01 00:00:00', 9, 'UTC') AS at FROM numbers(%d) FORMAT Native", n))
	}
	b.Run("select 1", func(b *testing.B) {
		for b.Loop() {
			post(b, "", "SELECT 1")
		}
	})
	b.Run("select 1 with a setting of its own", func(b *testing.B) {
		for i := 1; b.Loop(); i++ {
			post(b, fmt.Sprintf("max_execution_time=%d", i), "SELECT 1")
		}
	})
	for _, table := range []string{"fast", "safe"} {
		for _, n := range []int{1, 10_000, 100_000} {
			data := rows(n)
			b.Run(fmt.Sprintf("insert %d into %s", n, table), func(b *testing.B) {
				for b.Loop() {
					post(b, "query="+esc("INSERT INTO "+table+" FORMAT Native"), data)
				}
				b.ReportMetric(float64(n*b.N)/b.Elapsed().Seconds(), "rows/s")
			})
		}
	}
	b.Run("read a million rows", func(b *testing.B) {
		for b.Loop() {
			post(b, "", "SELECT number, toString(number) FROM numbers(1000000) FORMAT Native")
		}
	})
}
