package chdb

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fakeNPM is a registry of one package: a folder with an executable `npm` that
// behaves as `npm pack` does.
type fakeNPM struct {
	dir, cache string
	release    release
	progress   lockedBuffer
}

const libraryContent = "not really a library"

func newFakeNPM(t *testing.T, script string, entries ...tar.Header) *fakeNPM {
	t.Helper()
	f := &fakeNPM{dir: t.TempDir(), cache: t.TempDir()}
	var archive bytes.Buffer
	gz := gzip.NewWriter(&archive)
	tw := tar.NewWriter(gz)
	for _, entry := range entries {
		entry.Mode = 0o644
		if entry.Typeflag == 0 {
			entry.Typeflag, entry.Size = tar.TypeReg, int64(len(libraryContent))
		}
		if err := tw.WriteHeader(&entry); err != nil {
			t.Fatal(err)
		}
		if entry.Typeflag == tar.TypeReg {
			if _, err := tw.Write([]byte(libraryContent)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := gz.Close(); err != nil {
		t.Fatal(err)
	}
	f.write(t, "archive.tgz", archive.String(), 0o644)
	f.write(t, "npm", "#!/bin/sh\necho \"$@\" >> '"+f.dir+"/calls'\n"+strings.ReplaceAll(script, "DIR", f.dir)+"\n", 0o755)
	sum := sha512.Sum512(archive.Bytes())
	f.release = release{pkg: "@x/lib", version: "1.2.3", platform: "test", integrity: "sha512-" + base64.StdEncoding.EncodeToString(sum[:])}
	return f
}

func (f *fakeNPM) write(t *testing.T, name, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(f.dir, name), []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

// pack copies the archive to where --pack-destination says ($4).
const pack = `cp 'DIR/archive.tgz' "$4/lib-1.2.3.tgz"; echo lib-1.2.3.tgz`

func (f *fakeNPM) library(ctx context.Context) (string, error) {
	return Library(ctx, LibraryOptions{
		CacheDir: f.cache, Progress: &f.progress,
		LookupEnv: func(name string) (string, bool) {
			if name == "PATH" {
				return f.dir + string(os.PathListSeparator) + "/usr/bin" + string(os.PathListSeparator) + "/bin", true
			}
			return "", false
		},
		release: func() (release, error) { return f.release, nil },
	})
}

func (f *fakeNPM) calls(t *testing.T) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(f.dir, "calls"))
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	return strings.Count(string(text), "\n")
}

// slotFiles are the names left in the cache.
func (f *fakeNPM) slotFiles(t *testing.T) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(f.cache, "1.2.3", "test"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestLibraryIsFetchedOnce(t *testing.T) {
	f := newFakeNPM(t, pack, tar.Header{Name: "package/other.so"}, tar.Header{Name: "../evil"}, tar.Header{Name: "/evil"}, tar.Header{Name: "package/libchdb.so"})
	for range 2 {
		path, err := f.library(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(path); err != nil || string(text) != libraryContent {
			t.Fatalf("%q, %v", text, err)
		}
	}
	if f.calls(t) != 1 {
		t.Errorf("npm was called %d times, want once", f.calls(t))
	}
	if got := f.slotFiles(t); got != "fetch.lock libchdb.so libchdb.so.complete" {
		t.Errorf("left in the cache: %s", got)
	}
	for _, want := range []string{"fetching @x/lib@1.2.3", "checking", "unpacking", "ready"} {
		if !strings.Contains(f.progress.String(), want) {
			t.Errorf("progress lacks %q:\n%s", want, f.progress.String())
		}
	}
}

func TestLibraryHalfFetchedIsFetchedAgain(t *testing.T) {
	f := newFakeNPM(t, pack, tar.Header{Name: "package/libchdb.so"})
	slot := filepath.Join(f.cache, "1.2.3", "test")
	if err := os.MkdirAll(filepath.Join(slot, "fetch-123"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(slot, "libchdb.so"), []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	path, err := f.library(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); string(text) != libraryContent {
		t.Errorf("the half library was used: %q", text)
	}
	if got := f.slotFiles(t); strings.Contains(got, "fetch-") {
		t.Errorf("leftovers remain: %s", got)
	}
	if err := os.Truncate(path, 3); err != nil { // damaged afterwards
		t.Fatal(err)
	}
	if _, err := f.library(t.Context()); err != nil || f.calls(t) != 2 {
		t.Errorf("a damaged library: %v, %d calls of npm, want 2", err, f.calls(t))
	}
}

func TestLibraryTwoProcessesAtOnce(t *testing.T) {
	f := newFakeNPM(t, "sleep 1; "+pack, tar.Header{Name: "package/libchdb.so"})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			if _, err := f.library(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if f.calls(t) != 1 {
		t.Errorf("npm was called %d times, want once", f.calls(t))
	}
	if !strings.Contains(f.progress.String(), "another process is fetching") {
		t.Errorf("the one who waits says nothing:\n%s", f.progress.String())
	}
}

func TestLibraryErrors(t *testing.T) {
	ok := tar.Header{Name: "package/libchdb.so"}
	for name, c := range map[string]struct {
		script  string
		entry   tar.Header
		spoil   func(*fakeNPM)
		tools   string // where the script finds cp
		wantAll []string
	}{
		"npm fails":        {script: "echo E404 not found >&2; exit 1", entry: ok, wantAll: []string{"npm pack @x/lib@1.2.3", "E404 not found", "registry", EnvLibrary}},
		"npm packs none":   {script: "true", entry: ok, wantAll: []string{"0 archives"}},
		"wrong checksum":   {script: pack, entry: ok, spoil: func(f *fakeNPM) { f.release.integrity = "sha512-AAAA" }, wantAll: []string{"sha512-AAAA", "its checksum is sha512-"}},
		"no npm":           {script: pack, entry: ok, spoil: func(f *fakeNPM) { f.dir = "/nowhere" }, wantAll: []string{"npm is not on the PATH", "Node.js", EnvLibrary}},
		"no library in it": {script: pack, entry: tar.Header{Name: "package/x"}, wantAll: []string{"no package/libchdb.so"}},
		"a link instead":   {script: pack, entry: tar.Header{Name: "package/libchdb.so", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"}, wantAll: []string{"no package/libchdb.so"}},
		"no pinned sum":    {script: pack, entry: ok, spoil: func(f *fakeNPM) { f.release.integrity = "" }, wantAll: []string{"no checksum", "npm pack @x/lib@1.2.3", EnvLibrary}},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "no npm" {
				c.tools = "/usr/bin:/bin"
			}
			f := newFakeNPM(t, c.script, c.entry)
			if c.spoil != nil {
				c.spoil(f)
			}
			path, err := Library(t.Context(), LibraryOptions{
				CacheDir: f.cache, release: func() (release, error) { return f.release, nil },
				LookupEnv: func(name string) (string, bool) {
					return map[string]string{"PATH": f.dir + ":" + c.tools}[name], name == "PATH"
				},
			})
			if err == nil {
				t.Fatalf("got %s", path)
			}
			for _, want := range c.wantAll {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q lacks %q", err, want)
				}
			}
			if _, err := os.Stat(filepath.Join(f.cache, "1.2.3", "test", "libchdb.so")); err == nil {
				t.Error("a library was left in the cache")
			}
		})
	}
}

func TestLibraryFromEnvironment(t *testing.T) {
	file := filepath.Join(t.TempDir(), "lib.so")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	look := func(value string) LibraryOptions {
		return LibraryOptions{LookupEnv: func(string) (string, bool) { return value, true }}
	}
	if got, err := Library(t.Context(), look(file)); err != nil || got != file {
		t.Errorf("%s, %v", got, err)
	}
	for _, bad := range []string{file + ".none", t.TempDir()} {
		if _, err := Library(t.Context(), look(bad)); err == nil || !strings.Contains(err.Error(), EnvLibrary) {
			t.Errorf("%s: %v must name the variable", bad, err)
		}
	}
}

func TestReleases(t *testing.T) {
	for _, platform := range []string{"linux/amd64", "linux/arm64", "darwin/amd64", "darwin/arm64"} {
		goos, goarch, _ := strings.Cut(platform, "/")
		r, err := releaseFor(goos, goarch)
		if err != nil || r.version != Version {
			t.Errorf("%s: %+v, %v", platform, r, err)
		}
	}
	if _, err := releaseFor("plan9", "386"); err == nil || !strings.Contains(err.Error(), "plan9/386") {
		t.Error(err)
	}
}

// lockedBuffer is a buffer that several goroutines may write.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return fmt.Sprint(b.b.String())
}
