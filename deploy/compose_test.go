// Package deploy_test holds what the container files say against the program: a command, a flag, a setting or a port
// that is not the program's fails here and not in production.
package deploy_test

import (
	"net"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"reckoner/internal/catalog"
	"reckoner/internal/config"
)

const (
	root       = ".."
	dockerfile = "deploy/Dockerfile"
	apiPort    = 7400
	opsPort    = 7401
)

func load(t *testing.T) *types.Project {
	t.Helper()
	file := filepath.Join(root, "docker-compose.yml")
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: root, ConfigFiles: []types.ConfigFile{{Filename: file, Content: data}}, Environment: types.Mapping{},
	})
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// ours are the services that run our own image.
func ours(p *types.Project) map[string]types.ServiceConfig {
	out := map[string]types.ServiceConfig{}
	for name, s := range p.Services {
		if s.Build != nil {
			out[name] = s
		}
	}
	return out
}

// environ is what a service's process finds in its environment.
func environ(s types.ServiceConfig) []string {
	var out []string
	for name, value := range s.Environment {
		if value != nil {
			out = append(out, name+"="+*value)
		}
	}
	return out
}

func settings(t *testing.T, s types.ServiceConfig) *config.Settings {
	t.Helper()
	got, err := config.Load(config.Source{Environ: environ(s)})
	if err != nil {
		t.Fatalf("%s: its settings do not load: %v", s.Name, err)
	}
	return got
}

// build makes the binary as the image does.
func build(t *testing.T) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "reckoner")
	c := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", bin, "./cmd/reckoner")
	c.Dir = root
	c.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

func TestServicesAreThePipeline(t *testing.T) {
	p := load(t)
	names := p.ServiceNames()
	slices.Sort(names)
	if want := []string{"aggregate", "clickhouse", "ingest", "kafka", "migrate", "report"}; !slices.Equal(names, want) {
		t.Errorf("services %q, want %q", names, want)
	}
	for name := range ours(p) {
		if name == "kafka" || name == "clickhouse" {
			t.Errorf("%s is built here", name)
		}
	}
}

// TestCommandsAndFlagsExist asks the binary for the help of every command that the file runs.
func TestCommandsAndFlagsExist(t *testing.T) {
	bin := build(t)
	for name, s := range ours(load(t)) {
		if len(s.Command) == 0 || s.Command[0] != name {
			t.Errorf("%s runs %q; a service is called after its command", name, s.Command)
			continue
		}
		out, err := exec.CommandContext(t.Context(), bin, name, "--help").CombinedOutput()
		if err != nil || !strings.Contains(string(out), "reckoner "+name) {
			t.Errorf("reckoner %s --help: %v\n%s", name, err, out)
		}
		for _, word := range s.Command[1:] {
			flag, _, _ := strings.Cut(word, "=")
			if strings.HasPrefix(flag, "-") && !strings.Contains(string(out), flag+" ") {
				t.Errorf("reckoner %s knows no flag %s", name, flag)
			}
		}
	}
}

func TestEnvironmentNamesAreSettings(t *testing.T) {
	known := map[string]bool{}
	for _, k := range config.Describe() {
		known[k.Env()] = true
	}
	for name, s := range ours(load(t)) {
		for variable := range s.Environment {
			if !known[variable] {
				t.Errorf("%s sets %s, which is no setting", name, variable)
			}
		}
		settings(t, s)
	}
}

func TestServicesFindEachOther(t *testing.T) {
	p := load(t)
	kafka, clickhouse := p.Services["kafka"], p.Services["clickhouse"]
	advertised := *kafka.Environment["KAFKA_ADVERTISED_LISTENERS"]
	for name, s := range ours(p) {
		got := settings(t, s)
		for _, broker := range got.Kafka.Brokers {
			if !strings.Contains(advertised, "://"+broker) {
				t.Errorf("%s looks for Kafka at %s, which advertises %s", name, broker, advertised)
			}
		}
		want := "http://" + *clickhouse.Environment["CLICKHOUSE_USER"] + ":" + *clickhouse.Environment["CLICKHOUSE_PASSWORD"] + "@clickhouse:8123"
		if got.ClickHouse.URL != want {
			t.Errorf("%s looks for ClickHouse at another address or as another user than the service has", name)
		}
	}
	if *kafka.Environment["KAFKA_AUTO_CREATE_TOPICS_ENABLE"] != "false" {
		t.Error("Kafka makes topics by itself, without the settings that exactness needs")
	}
	for dir, s := range map[string]types.ServiceConfig{*kafka.Environment["KAFKA_LOG_DIRS"]: kafka, "/var/lib/clickhouse": clickhouse} {
		if !mounted(s, dir, types.VolumeTypeVolume) {
			t.Errorf("%s keeps %s inside its container: it would be gone with it", s.Name, dir)
		}
	}
}

func TestPortsAreTheProgramsOwn(t *testing.T) {
	for name, s := range ours(load(t)) {
		got := settings(t, s)
		listens := []uint32{port(t, got.Listen), port(t, got.OpsListen)}
		for _, p := range s.Ports {
			if !slices.Contains(listens, p.Target) {
				t.Errorf("%s publishes port %d and listens on %v", name, p.Target, listens)
			}
			if p.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes port %s to everybody", name, p.Published)
			}
		}
		if (name == "ingest" || name == "report") && !strings.HasPrefix(got.Listen, "0.0.0.0:") {
			t.Errorf("%s listens on %s, which nothing outside of its container reaches", name, got.Listen)
		}
		if s.HealthCheck == nil {
			if name != "migrate" {
				t.Errorf("%s has no health check", name)
			}
			continue
		}
		test := strings.Join(s.HealthCheck.Test, " ")
		if !strings.Contains(test, "/"+strconv.Itoa(int(port(t, got.OpsListen)))+" ") || !strings.Contains(test, "GET /readyz ") {
			t.Errorf("the health check of %s asks elsewhere: %s", name, test)
		}
	}
}

func port(t *testing.T, address string) uint32 {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	n, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		t.Fatal(err)
	}
	return uint32(n)
}

func TestStateAndCatalogAreMounted(t *testing.T) {
	p := load(t)
	aggregate := settings(t, p.Services["aggregate"])
	if !mounted(p.Services["aggregate"], aggregate.DataDir, types.VolumeTypeVolume) {
		t.Errorf("aggregate keeps its state in %s, which is no volume", aggregate.DataDir)
	}
	ingest := p.Services["ingest"]
	file := settings(t, ingest).Catalog.File
	for _, v := range ingest.Volumes {
		if v.Type != types.VolumeTypeBind || !strings.HasPrefix(file, v.Target+"/") {
			continue
		}
		data, err := os.ReadFile(filepath.Join(v.Source, path.Base(file)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := catalog.Parse(path.Base(file), data); err != nil || !v.ReadOnly {
			t.Errorf("the catalog at %s: read-only %t, %v", v.Source, v.ReadOnly, err)
		}
		return
	}
	t.Errorf("nothing is mounted where ingest looks for %s", file)
}

func mounted(s types.ServiceConfig, dir, kind string) bool {
	return slices.ContainsFunc(s.Volumes, func(v types.ServiceVolumeConfig) bool { return v.Type == kind && v.Target == dir })
}

func TestStartOrder(t *testing.T) {
	p := load(t)
	for name, want := range map[string]map[string]string{
		"migrate":   {"kafka": types.ServiceConditionHealthy, "clickhouse": types.ServiceConditionHealthy},
		"ingest":    {"migrate": types.ServiceConditionCompletedSuccessfully},
		"aggregate": {"migrate": types.ServiceConditionCompletedSuccessfully},
		"report":    {"migrate": types.ServiceConditionCompletedSuccessfully},
	} {
		for on, condition := range want {
			if got := p.Services[name].DependsOn[on].Condition; got != condition {
				t.Errorf("%s waits for %s: %q, want %q", name, on, got, condition)
			}
		}
	}
	for name, s := range p.Services {
		if strings.HasSuffix(s.Image, ":latest") || !strings.Contains(s.Image, ":") {
			t.Errorf("%s runs %s, which is another thing every day", name, s.Image)
		}
		if s.Build == nil && s.HealthCheck == nil {
			t.Errorf("%s has no health check", name)
		}
	}
}

func TestOurContainersMayDoLittle(t *testing.T) {
	for name, s := range ours(load(t)) {
		if !s.ReadOnly || !slices.Contains(s.CapDrop, "ALL") || !slices.Contains(s.SecurityOpt, "no-new-privileges:true") {
			t.Errorf("%s: read-only %t, dropped %v, %v", name, s.ReadOnly, s.CapDrop, s.SecurityOpt)
		}
		if user, _, _ := strings.Cut(s.User, ":"); user == "" || user == "0" || user == "root" {
			t.Errorf("%s runs as %q", name, s.User)
		}
		if got := filepath.ToSlash(s.Build.Dockerfile); got != dockerfile {
			t.Errorf("%s is built from %s", name, got)
		}
		stop := settings(t, s).Shutdown.Timeout
		if s.StopGracePeriod == nil || stop >= time.Duration(*s.StopGracePeriod) {
			t.Errorf("%s is killed before its own %s to stop are over", name, stop)
		}
	}
}

// TestDockerfile reads the instructions as they stand: each is one line or goes on with a backslash.
func TestDockerfile(t *testing.T) {
	data, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(dockerfile)))
	if err != nil {
		t.Fatal(err)
	}
	text := regexp.MustCompile(`\\\n\s*`).ReplaceAllString(string(data), "")
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)[1]
	for name, want := range map[string]string{
		"the Go of go.mod":         `(?m)^FROM golang:` + regexp.QuoteMeta(string(version)) + `\.\d+-\w+ AS build$`,
		"a pinned base":            `(?m)^FROM debian:\w+-slim$`,
		"no cgo":                   `(?m)^RUN .*CGO_ENABLED=0 go build .*-o /out/reckoner ./cmd/reckoner$`,
		"the binary":               `(?m)^COPY --from=build /out/reckoner /usr/local/bin/reckoner$`,
		"the binary as entrypoint": `(?m)^ENTRYPOINT \["/usr/local/bin/reckoner"\]$`,
		"a user without rights":    `(?m)^USER [1-9]\d*:[1-9]\d*$`,
		"the ports":                `(?m)^EXPOSE ` + strconv.Itoa(apiPort) + ` ` + strconv.Itoa(opsPort) + `$`,
		"the folder of the state":  `(?m)^VOLUME /var/lib/reckoner$`,
	} {
		if !regexp.MustCompile(want).MatchString(text) {
			t.Errorf("the Dockerfile lacks %s: %s", name, want)
		}
	}
	user := regexp.MustCompile(`(?m)^USER (\S+)$`).FindStringSubmatch(text)
	for name, s := range ours(load(t)) {
		if user == nil || s.User != user[1] {
			t.Errorf("%s runs as %s and the image as %v", name, s.User, user)
		}
	}
	for _, source := range []string{"go.mod", "go.sum", "cmd/reckoner"} {
		if _, err := os.Stat(filepath.Join(root, source)); err != nil {
			t.Error(err)
		}
	}
	defaults, err := config.Load(config.Source{})
	if err != nil {
		t.Fatal(err)
	}
	if port(t, defaults.Listen) != apiPort || port(t, defaults.OpsListen) != opsPort {
		t.Errorf("the default ports are %s and %s", defaults.Listen, defaults.OpsListen)
	}
}
