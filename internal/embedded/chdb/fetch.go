package chdb

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// fetchWait bounds how long one process waits for another that fetches.
const fetchWait = 20 * time.Minute

// fetch gets the library through npm into the slot, or waits for the process
// that is about it already.
func (s slot) fetch(ctx context.Context, o LibraryOptions) (string, error) {
	if s.release.integrity == "" {
		return "", fmt.Errorf("no checksum of %s@%s is known to this build, so it is not fetched: run `npm pack %s@%s`, unpack it, and set %s to the path of its libchdb.so",
			s.release.pkg, s.release.version, s.release.pkg, s.release.version, EnvLibrary)
	}
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return "", fmt.Errorf("cache of libchdb: %w; make the folder writable, or set %s", err, EnvLibrary)
	}
	unlock, err := s.lock(ctx, o.Progress)
	if err != nil {
		return "", err
	}
	defer unlock()
	if s.complete() { // another process was first
		return s.library(), nil
	}
	if err := s.fetchLocked(ctx, o); err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			err = fmt.Errorf("%w: free about 1 GB for %s", err, s.dir)
		}
		return "", fmt.Errorf("fetch libchdb %s: %w", s.release.version, err)
	}
	return s.library(), nil
}

func (s slot) lock(ctx context.Context, progress io.Writer) (unlock func(), err error) {
	lock := flock.New(filepath.Join(s.dir, "fetch.lock"))
	taken, err := lock.TryLock()
	if err == nil && !taken {
		fmt.Fprintln(progress, "another process is fetching libchdb; waiting for it")
		ctx, cancel := context.WithTimeout(ctx, fetchWait)
		defer cancel()
		taken, err = lock.TryLockContext(ctx, 200*time.Millisecond)
	}
	if err != nil || !taken {
		return nil, fmt.Errorf("waiting for another process to fetch libchdb into %s: %w", s.dir, err)
	}
	return func() { _ = lock.Unlock() }, nil // the process' end would release it as well
}

func (s slot) fetchLocked(ctx context.Context, o LibraryOptions) error {
	leftovers, err := filepath.Glob(filepath.Join(s.dir, "fetch-*"))
	if err != nil {
		return err
	}
	for _, path := range leftovers { // of processes that were killed; their lock is free
		if err := os.RemoveAll(path); err != nil {
			return err
		}
	}
	tmp, err := os.MkdirTemp(s.dir, "fetch-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(tmp) }() // else removed by the next fetch
	archive, err := s.npmPack(ctx, tmp, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Progress, "checking %s@%s\n", s.release.pkg, s.release.version)
	if err := checkIntegrity(archive, s.release.integrity); err != nil {
		return err
	}
	fmt.Fprintf(o.Progress, "unpacking into %s\n", s.dir)
	unpacked := filepath.Join(tmp, "libchdb.so")
	if err := unpack(ctx, archive, unpacked); err != nil {
		return err
	}
	if err := s.finish(unpacked); err != nil {
		return err
	}
	fmt.Fprintf(o.Progress, "libchdb %s is ready\n", s.release.version)
	return nil
}

// npmPack has npm put the package's archive into dir. npm brings the user's
// registry, proxy and credentials with it.
func (s slot) npmPack(ctx context.Context, dir string, o LibraryOptions) (archive string, err error) {
	pathList, _ := o.LookupEnv("PATH")
	npm, err := findExecutable("npm", pathList)
	if err != nil {
		return "", fmt.Errorf("%w: install Node.js, or set %s to the path of a libchdb.so of version %s", err, EnvLibrary, s.release.version)
	}
	spec := s.release.pkg + "@" + s.release.version
	cmd := exec.CommandContext(ctx, npm, "pack", spec, "--pack-destination", dir, "--ignore-scripts", "--loglevel", "error")
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "PATH="+pathList)
	cmd.WaitDelay = 5 * time.Second
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stop := reportProgress(o.Progress, spec)
	err = cmd.Run()
	stop()
	if err != nil {
		return "", fmt.Errorf("npm pack %s: %w: %s; look at the network and at npm's registry setting, or set %s", spec, err, strings.TrimSpace(stderr.String()), EnvLibrary)
	}
	found, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("npm pack %s ended well but left %d archives instead of one", spec, len(found))
	}
	return found[0], nil
}

// reportProgress tells every few seconds that npm is still at work.
func reportProgress(w io.Writer, spec string) (stop func()) {
	fmt.Fprintf(w, "fetching %s through npm: 160 MB, once\n", spec)
	start, quit, done := time.Now(), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				fmt.Fprintf(w, "fetching %s: %d s\n", spec, int(time.Since(start).Seconds()))
			case <-quit:
				return
			}
		}
	}()
	return func() { close(quit); <-done }
}

func findExecutable(name, pathList string) (string, error) {
	for _, dir := range filepath.SplitList(pathList) {
		path := filepath.Join(dir, name)
		if info, err := os.Stat(path); filepath.IsAbs(path) && err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not on the PATH", name)
}

// checkIntegrity compares an archive with a subresource integrity of npm's kind.
func checkIntegrity(path, want string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	hash := sha512.New()
	if _, err := io.Copy(hash, f); err != nil {
		return err
	}
	if got := "sha512-" + base64.StdEncoding.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("the archive is not the one that was published: its checksum is %s, expected %s; look at npm's registry setting", got, want)
	}
	return nil
}
