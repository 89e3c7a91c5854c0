package clickhouse

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"text/template"
)

//go:embed migrations/*.sql
var migrationFiles embed.FS

// migration is one numbered file. Its checksum is of the file as written, so it is the same on one server and on a
// cluster.
type migration struct {
	version  uint32
	name     string
	checksum string
	text     string
}

// schema renders the migrations, for one server or for a cluster. Everything that differs between the two is here.
type schema struct {
	database string
	cluster  string
}

// identifier is what a database or cluster may be named, so that a name can stand in SQL without escaping. Braces
// are those of a server's macro, as in {cluster}.
var identifier = regexp.MustCompile(`^[A-Za-z0-9_{}.-]{1,128}$`)

func newSchema(database, cluster string) (schema, error) {
	if !identifier.MatchString(database) {
		return schema{}, fmt.Errorf("clickhouse.url: database %q: only letters, digits, - . and _ may name it", database)
	}
	if cluster != "" && !identifier.MatchString(cluster) {
		return schema{}, fmt.Errorf("clickhouse.cluster %q: only letters, digits, - . _ { and } may name it", cluster)
	}
	return schema{database: database, cluster: cluster}, nil
}

// settings are those of every connection. An insert on a cluster is acknowledged by a majority of the replicas of
// every shard it touches, never queued on the server that took it.
func (s schema) settings() map[string]any {
	if s.cluster == "" {
		return nil
	}
	return map[string]any{
		"insert_quorum":                 "auto",
		"distributed_foreground_insert": 1,
		"distributed_ddl_task_timeout":  120,
	}
}

func (s schema) functions() template.FuncMap {
	return template.FuncMap{
		"database":    func() string { return "`" + s.database + "`" + s.onCluster() },
		"db":          func() string { return s.database },
		"on_cluster":  s.onCluster,
		"table":       s.local,
		"global":      func(name string) string { return name + s.onCluster() },
		"view":        func(name string) string { return name + s.onCluster() },
		"replacing":   s.replacing,
		"distributed": s.distributed,
		"settings":    s.tableSettings,
	}
}

func (s schema) onCluster() string {
	if s.cluster == "" {
		return ""
	}
	return " ON CLUSTER '" + s.cluster + "'"
}

// local names the table that holds the rows: on a cluster `x_local`, with a distributed table `x` over it.
func (s schema) local(name string) string {
	if s.cluster == "" {
		return name
	}
	return name + "_local" + s.onCluster()
}

// replacing renders the engine. A sharded table is replicated within its shard, a global one to every server.
func (s schema) replacing(spread, version string) string {
	if s.cluster == "" {
		if version == "" {
			return "ReplacingMergeTree"
		}
		return "ReplacingMergeTree(" + version + ")"
	}
	path, replica := "/clickhouse/tables/{uuid}/{shard}", "{replica}"
	if spread == "global" {
		path, replica = "/clickhouse/tables/{uuid}/all", "{shard}_{replica}"
	}
	args := fmt.Sprintf("'%s', '%s'", path, replica)
	if version != "" {
		args += ", " + version
	}
	return "ReplicatedReplacingMergeTree(" + args + ")"
}

func (s schema) distributed(name, shardBy string) string {
	if s.cluster == "" {
		return ""
	}
	return fmt.Sprintf("CREATE TABLE IF NOT EXISTS %s%s AS %s_local\nENGINE = Distributed('%s', '%s', '%s_local', %s);",
		name, s.onCluster(), name, s.cluster, s.database, name, shardBy)
}

// tableSettings make an insert durable before it is acknowledged, and switch the deduplication of inserts off: its
// window is global, so it would swallow or refuse a retry whose batch was cut elsewhere. Rows are idempotent by key.
// Parts up to 128 MiB keep all columns in one file: one file to sync instead of seventy, 40 % less work an insert.
func (s schema) tableSettings() string {
	window := "non_replicated_deduplication_window = 0"
	if s.cluster != "" {
		window = "replicated_deduplication_window = 0"
	}
	return "fsync_after_insert = 1, fsync_part_directory = 1, " + window + ", min_bytes_for_wide_part = 134217728"
}

// migrations returns the numbered files in order.
func migrations() ([]migration, error) {
	paths, err := fs.Glob(migrationFiles, "migrations/*.sql")
	if err != nil {
		return nil, err
	}
	all := make([]migration, 0, len(paths))
	for i, path := range paths {
		text, err := migrationFiles.ReadFile(path)
		if err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(strings.TrimPrefix(path, "migrations/"), ".sql")
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseUint(number, 10, 32)
		if err != nil || int(version) != i {
			return nil, fmt.Errorf("migration %s: want the number %04d", name, i)
		}
		sum := sha256.Sum256(text)
		all = append(all, migration{uint32(version), name, hex.EncodeToString(sum[:]), string(text)})
	}
	return all, nil
}

// statements renders a migration into its statements.
func (s schema) statements(m migration) ([]string, error) {
	t, err := template.New(m.name).Option("missingkey=error").Funcs(s.functions()).Parse(m.text)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := t.Execute(&b, nil); err != nil {
		return nil, err
	}
	return splitStatements(b.String()), nil
}

// splitStatements cuts at each line that ends with a semicolon and drops comments, which hold none of the meaning.
func splitStatements(text string) []string {
	var all []string
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "--") || strings.TrimSpace(line) == "" {
			continue
		}
		body, last := strings.CutSuffix(line, ";")
		lines = append(lines, body)
		if last {
			all = append(all, strings.Join(lines, "\n"))
			lines = nil
		}
	}
	if len(lines) > 0 {
		all = append(all, strings.Join(lines, "\n"))
	}
	return all
}
