package chdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
)

// Version is the release of libchdb that this package is written for and tested
// against, by the number of its npm packages.
const Version = "26.5.3"

// EnvLibrary is the environment variable that names a libchdb.so to use instead
// of the one in the cache.
const EnvLibrary = "RECKONER_LIBCHDB"

// LibraryOptions say where to look for the library. The zero value is right for
// a program; tests set the fields.
type LibraryOptions struct {
	CacheDir  string                      // else reckoner/libchdb in the user's cache folder
	Progress  io.Writer                   // gets a line now and then while fetching; may be nil
	LookupEnv func(string) (string, bool) // else os.LookupEnv
	release   func() (release, error)     // else the one of this platform
}

// release is one npm package that carries the library.
type release struct {
	pkg, version, platform string
	integrity              string // as `npm view <pkg>@<version> dist.integrity` prints it
}

// releases by GOOS/GOARCH. A package without integrity is known by name, but its
// checksum could not be obtained when this was written: it is never fetched, and
// the error says how to provide it.
var releases = map[string]release{
	"linux/amd64": {pkg: "@chdb/lib-linux-x64-gnu", platform: "linux-x64-gnu",
		integrity: "sha512-fPrLmRt5Moor9yGz4mazbrNje4t7X9KB2mTGkXFWRxRBs2iKy8yh6jx11xsa0Qr3iDFMU/yHqd+bVdYJXu3QaQ=="},
	"linux/arm64":  {pkg: "@chdb/lib-linux-arm64-gnu", platform: "linux-arm64-gnu"},
	"darwin/arm64": {pkg: "@chdb/lib-darwin-arm64", platform: "darwin-arm64"},
	"darwin/amd64": {pkg: "@chdb/lib-darwin-x64", platform: "darwin-x64"},
}

func releaseFor(goos, goarch string) (release, error) {
	r, ok := releases[goos+"/"+goarch]
	if !ok {
		return release{}, fmt.Errorf("the embedded ClickHouse does not exist for %s/%s: use linux or darwin on amd64 or arm64, or a ClickHouse server", goos, goarch)
	}
	r.version = Version
	return r, nil
}

// Library returns the path of libchdb.so: the one that RECKONER_LIBCHDB names,
// else the one in the cache, else one fetched into the cache through npm, its
// checksum verified. Processes that fetch at the same time wait for the first.
// Every error says what is wrong and what to do.
func Library(ctx context.Context, o LibraryOptions) (string, error) {
	if o.LookupEnv == nil {
		o.LookupEnv = os.LookupEnv
	}
	if o.Progress == nil {
		o.Progress = io.Discard
	}
	if path, ok := o.LookupEnv(EnvLibrary); ok && path != "" {
		return givenLibrary(path)
	}
	if o.release == nil {
		o.release = func() (release, error) { return releaseFor(runtime.GOOS, runtime.GOARCH) }
	}
	r, err := o.release()
	if err != nil {
		return "", err
	}
	base := o.CacheDir
	if base == "" {
		cache, err := os.UserCacheDir()
		if err != nil {
			return "", fmt.Errorf("no cache folder for libchdb: %w; set HOME, or %s to the path of a libchdb.so", err, EnvLibrary)
		}
		base = filepath.Join(cache, "reckoner", "libchdb")
	}
	slot := slot{dir: filepath.Join(base, r.version, r.platform), release: r}
	if slot.complete() {
		return slot.library(), nil
	}
	return slot.fetch(ctx, o)
}

func givenLibrary(path string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return "", fmt.Errorf("%s is %q: %w; point it at a libchdb.so of version %s, or unset it", EnvLibrary, path, err, Version)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("%s is %q, which is not a file; point it at a libchdb.so of version %s, or unset it", EnvLibrary, path, Version)
	}
	return filepath.Abs(path)
}

// slot is the place of one release in the cache. Its marker is written last, so
// that a library without the marker is never used.
type slot struct {
	dir     string
	release release
}

func (s slot) library() string { return filepath.Join(s.dir, "libchdb.so") }
func (s slot) marker() string  { return filepath.Join(s.dir, "libchdb.so.complete") }

// seal is what the marker of a complete library of that size says.
func (s slot) seal(size int64) string {
	return fmt.Sprintf("%s@%s %s %d\n", s.release.pkg, s.release.version, s.release.integrity, size)
}

func (s slot) complete() bool {
	info, err := os.Stat(s.library())
	if err != nil || !info.Mode().IsRegular() {
		return false
	}
	text, err := os.ReadFile(s.marker())
	return err == nil && string(text) == s.seal(info.Size())
}

// finish moves an unpacked library into its place and marks it complete.
func (s slot) finish(unpacked string) error {
	info, err := os.Stat(unpacked)
	if err != nil {
		return err
	}
	if err := os.Remove(s.marker()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(unpacked, s.library()); err != nil {
		return err
	}
	if err := syncDir(s.dir); err != nil {
		return err
	}
	draft := s.marker() + ".new"
	if err := writeSynced(draft, s.seal(info.Size())); err != nil {
		return err
	}
	if err := os.Rename(draft, s.marker()); err != nil {
		return err
	}
	return syncDir(s.dir)
}

func writeSynced(path, text string) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Sync(), f.Close())
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
