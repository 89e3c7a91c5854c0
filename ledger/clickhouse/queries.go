package clickhouse

import (
	"embed"
	"fmt"
	"strings"
)

//go:embed queries/*.sql
var queryFiles embed.FS

// queries are the texts of queries/*.sql.
type queries struct {
	migrationsApplied, migrationRecord                             string
	insertEntries, insertRefusals, insertTotals, insertCheckpoints string
	checkpoint, restoreEntries, restoreRefusals, audit, totals     string
	earlierEntries, earlierRefusals, wholeEntries, wholeRefusals   string
	logs, logRegister, losses, transactions, usageSources, debited string
	strays, accountsOfEntries, accountsOfTotals, unbalanced        string
	insertCatalog, catalogVersion                                  string
	insertReports, insertReportClaims                              string
}

func loadQueries() (queries, error) {
	var q queries
	for name, text := range map[string]*string{
		"migrations_applied":   &q.migrationsApplied,
		"migration_record":     &q.migrationRecord,
		"insert_entries":       &q.insertEntries,
		"insert_refusals":      &q.insertRefusals,
		"insert_totals":        &q.insertTotals,
		"insert_checkpoints":   &q.insertCheckpoints,
		"checkpoint":           &q.checkpoint,
		"restore_entries":      &q.restoreEntries,
		"restore_refusals":     &q.restoreRefusals,
		"audit":                &q.audit,
		"totals":               &q.totals,
		"earlier_entries":      &q.earlierEntries,
		"earlier_refusals":     &q.earlierRefusals,
		"whole_entries":        &q.wholeEntries,
		"whole_refusals":       &q.wholeRefusals,
		"logs":                 &q.logs,
		"log_register":         &q.logRegister,
		"losses":               &q.losses,
		"transactions":         &q.transactions,
		"usage_sources":        &q.usageSources,
		"debited":              &q.debited,
		"strays":               &q.strays,
		"accounts_of_entries":  &q.accountsOfEntries,
		"accounts_of_totals":   &q.accountsOfTotals,
		"unbalanced":           &q.unbalanced,
		"insert_catalog":       &q.insertCatalog,
		"catalog_version":      &q.catalogVersion,
		"insert_reports":       &q.insertReports,
		"insert_report_claims": &q.insertReportClaims,
	} {
		var err error
		if *text, err = query(name); err != nil {
			return q, err
		}
	}
	return q, nil
}

func query(name string) (string, error) {
	b, err := queryFiles.ReadFile("queries/" + name + ".sql")
	if err != nil {
		return "", fmt.Errorf("query %s: %w", name, err)
	}
	return strings.TrimSpace(string(b)), nil
}
