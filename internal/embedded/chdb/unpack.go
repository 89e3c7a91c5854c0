package chdb

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// libraryEntry is the one file of the package that is wanted. No other entry is
// ever written, so that no name in the archive can lead outside.
const libraryEntry = "package/libchdb.so"

// maxLibrarySize bounds what an archive may unpack to, in bytes.
const maxLibrarySize = 2 << 30

// unpack writes the library in the archive to target, synced.
func unpack(ctx context.Context, archive, target string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		return fmt.Errorf("%s: %w", archive, err)
	}
	entries := tar.NewReader(gz)
	for {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("the package holds no %s", libraryEntry)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", archive, err)
		}
		if entry.Name != libraryEntry || entry.Typeflag != tar.TypeReg {
			continue
		}
		if entry.Size > maxLibrarySize {
			return fmt.Errorf("%s is %d bytes, more than a library can be", libraryEntry, entry.Size)
		}
		return writeLibrary(ctx, entries, target)
	}
}

func writeLibrary(ctx context.Context, r io.Reader, target string) error {
	out, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, readerUntil{ctx, r})
	if err == nil {
		err = out.Sync()
	}
	return errors.Join(err, out.Close())
}

// readerUntil reads until its context ends.
type readerUntil struct {
	ctx context.Context
	r   io.Reader
}

func (r readerUntil) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
