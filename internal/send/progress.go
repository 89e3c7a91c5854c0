package send

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// A progress is what an interrupted run leaves to the next one: how many lines of which file the server at which
// address had for sure; confirm asks whether it still has them. Losing it is safe; every line then goes out again and is a
// duplicate.
type progress struct {
	SHA256    string    `json:"file_sha256"`
	URL       string    `json:"url"`
	Org       string    `json:"org"`
	Delivered int64     `json:"delivered"` // every line below this one
	SavedAt   time.Time `json:"saved_at"`
}

type progressFile struct {
	path string
	mark progress
}

func newProgressFile(dir, sum, url, org string) *progressFile {
	h := sha256.New()
	for _, part := range []string{sum, url, org} {
		h.Write(binary.AppendUvarint(nil, uint64(len(part))))
		h.Write([]byte(part))
	}
	name := hex.EncodeToString(h.Sum(nil))[:32] + ".json"
	return &progressFile{path: filepath.Join(dir, name), mark: progress{SHA256: sum, URL: url, Org: org}}
}

// load returns how far an earlier run came; a file that is missing or damaged means 0.
func (p *progressFile) load(lines int64) (progress, error) {
	data, err := os.ReadFile(p.path)
	if errors.Is(err, fs.ErrNotExist) {
		return progress{}, nil
	} else if err != nil {
		return progress{}, fmt.Errorf("read the progress file: %w", err)
	}
	var was progress
	if json.Unmarshal(data, &was) != nil || was.SHA256 != p.mark.SHA256 || was.URL != p.mark.URL || was.Org != p.mark.Org ||
		was.Delivered < 0 || was.Delivered > lines {
		return progress{}, nil
	}
	return was, nil
}

// save replaces the file as a whole, so that a kill at any moment leaves the old or the new one.
func (p *progressFile) save(delivered int64, now time.Time) error {
	mark := p.mark
	mark.Delivered, mark.SavedAt = delivered, now.UTC()
	data, err := json.Marshal(mark)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(p.path), 0o700); err != nil {
		return fmt.Errorf("make the folder of the progress file: %w", err)
	}
	next := p.path + ".next"
	if err := os.WriteFile(next, data, 0o600); err != nil {
		return fmt.Errorf("write the progress file: %w", err)
	}
	return os.Rename(next, p.path)
}

func (p *progressFile) remove() error {
	if err := os.Remove(p.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the progress file: %w", err)
	}
	return nil
}
