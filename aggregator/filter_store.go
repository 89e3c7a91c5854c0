package aggregator

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"
	"io"

	"github.com/bits-and-blooms/bloom/v3"
	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// learnKeys is how many keys of a store its filter learns for each key that is written: few enough that a commit is
// hardly dearer, and enough that the filter knows all before the keys have grown by a third.
const learnKeys = 4

// wake gives the store its filter: the one that its last owner left, an empty one when there are no keys yet, else one
// that learns the keys as the store is written, so that a start waits for nothing. Who works with a store calls it
// before anything else; without it the store has no filter and is only slower.
func (s *store) wake() {
	if s.filter != nil {
		return
	}
	f, err := s.leftFilter()
	if err != nil {
		s.options.log.Info("the filter of a local state is learnt again", "dir", s.dir, "reason", err)
	}
	if f == nil {
		f = &filter{learnt: []byte{prefixMemory}}
	}
	s.filter = f
	s.options.metrics.filter(f.bytes(), 1)
	if err := s.learn(1); err != nil { // none or one: it is whole already
		s.options.log.Error("the keys of a local state cannot be read", "dir", s.dir, "error", err)
	}
	if f.next() == nil {
		s.options.metrics.filter(0, -1)
	}
}

// learn adds the store's next keys to its filter.
func (s *store) learn(keys int) (err error) {
	from := s.filter.next()
	if from == nil {
		return nil
	}
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: from})
	if err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	defer func() {
		if err = errors.Join(err, it.Close()); err != nil {
			s.condemn(err)
		}
	}()
	for ok := it.First(); ok; ok = it.Next() {
		if keys--; keys < 0 {
			s.filter.learnTo(bytes.Clone(it.Key()))
			return nil
		}
		s.remember(it.Key())
	}
	if err := it.Error(); err != nil {
		return fmt.Errorf("read keys: %w", err)
	}
	s.filter.learnTo(nil)
	return nil
}

// learnMore is the share of a commit in learning.
func (s *store) learnMore(l *layer) error {
	if s.filter == nil || s.filter.next() == nil {
		return nil
	}
	err := s.learn(learnKeys * (len(l.memories) + len(l.totals) + len(l.useds)))
	if s.filter.next() == nil {
		s.options.metrics.filter(0, -1)
	}
	return err
}

// remember adds a key to the filter. It comes before the key is written.
func (s *store) remember(key []byte) {
	if s.filter != nil {
		s.options.metrics.filter(s.filter.add(key), 0)
	}
}

// filterFile is where a store's filter waits for its next owner. A store without one is whole all the same.
const filterFile = "/keys.filter"

// filterForm numbers the form of that file and the parameters of the filter in it.
const filterForm = 1

// stands is what the store holds, in few bytes: the keys are a function of how far it is.
func (s *store) stands() ([]byte, error) {
	var b []byte
	for _, prefix := range []byte{prefixMeta, prefixBuilding} {
		v, closer, err := s.db.Get([]byte{prefix})
		if errors.Is(err, pebble.ErrNotFound) {
			b = append(b, 0)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read state: %w", err)
		}
		b = appendText(append(b, 1), string(v))
		if err := closer.Close(); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// leaveFilter writes the filter for the next owner. It needs no sync: what is torn is not taken.
func (s *store) leaveFilter() error {
	at, err := s.stands()
	if err != nil {
		return err
	}
	var w bytes.Buffer
	w.WriteByte(filterForm)
	w.Write(appendText(nil, string(at)))
	if err := s.filter.writeTo(&w); err != nil {
		return err
	}
	sum := crc64.Checksum(w.Bytes(), crc64.MakeTable(crc64.ECMA))
	w.Write(binary.BigEndian.AppendUint64(nil, sum))
	fs, name := s.options.files(), s.dir+filterFile
	file, err := fs.Create(name, vfs.WriteCategoryUnspecified)
	if err != nil {
		return err
	}
	_, err = file.Write(w.Bytes())
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, fs.Remove(name))
	}
	return nil
}

// leftFilter takes the filter that the last owner left, nil when there is none that is right. Its file goes: what the
// store comes to hold is not in it.
func (s *store) leftFilter() (*filter, error) {
	fs, name := s.options.files(), s.dir+filterFile
	file, err := fs.Open(name)
	if err != nil {
		return nil, nil //nolint:nilerr // there is none, as after a kill
	}
	b, err := io.ReadAll(file)
	if err := errors.Join(err, file.Close(), fs.Remove(name)); err != nil {
		return nil, err
	}
	sum := len(b) - 8
	if sum < 1 || b[0] != filterForm || crc64.Checksum(b[:sum], crc64.MakeTable(crc64.ECMA)) != binary.BigEndian.Uint64(b[sum:]) {
		return nil, errors.New("its file is of another form, or damaged")
	}
	at, err := s.stands()
	if err != nil {
		return nil, err
	}
	r := cursor{rest: b[1:sum]}
	if r.text() != string(at) {
		return nil, errors.New("its file is of another state")
	}
	return parseFilter(r.rest)
}

// writeTo writes the filter as parseFilter reads it.
func (f *filter) writeTo(w io.Writer) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	b := binary.AppendUvarint(appendText(nil, string(f.learnt)), uint64(f.room))
	if _, err := w.Write(binary.AppendUvarint(b, uint64(len(f.parts)))); err != nil {
		return err
	}
	for _, part := range f.parts {
		if _, err := part.WriteTo(w); err != nil {
			return err
		}
	}
	return nil
}

func parseFilter(b []byte) (*filter, error) {
	r := cursor{rest: b}
	f := new(filter)
	if learnt := r.text(); learnt != "" {
		f.learnt = []byte(learnt)
	}
	f.room = int(r.uvarint())
	parts := r.uvarint()
	rest := bytes.NewReader(r.rest)
	for range parts {
		part := new(bloom.BloomFilter)
		if _, err := part.ReadFrom(rest); err != nil {
			return nil, fmt.Errorf("read filter: %w", err)
		}
		f.parts = append(f.parts, part)
	}
	return f, nil
}
