package send

import (
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// TestMain makes the test binary a sender that can be killed, when it is asked to be one.
func TestMain(m *testing.M) {
	if path := os.Getenv("SEND_TEST_FILE"); path != "" {
		_, err := Run(context.Background(), Options{
			Path: path, URL: os.Getenv("SEND_TEST_URL"), Org: org, StateDir: os.Getenv("SEND_TEST_STATE"), Batch: 20, Connections: 2,
		})
		if err != nil {
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// TestKilledAndResumed kills a sender without warning, then sends the same file again.
func TestKilledAndResumed(t *testing.T) {
	path, err := filepath.Abs("../../testdata/trace-b.csv")
	if err != nil {
		t.Fatal(err)
	}
	state := t.TempDir()
	slow := make(chan struct{})
	// From the 100th request on answers wait until the sender has left its mark, so that there is something to resume.
	server := newFakeIngest(t, func(_ http.ResponseWriter, r *http.Request, nth int) bool {
		if nth >= 100 {
			select {
			case <-slow:
			case <-r.Context().Done():
				return true
			}
		}
		return false
	})
	child := exec.CommandContext(t.Context(), os.Args[0])
	child.Env = append(os.Environ(), "SEND_TEST_FILE="+path, "SEND_TEST_URL="+server.server.URL, "SEND_TEST_STATE="+state)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); len(marks(t, state)) == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the sender left no mark")
		}
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := child.Wait(); err == nil {
		t.Fatal("the sender was not killed")
	}
	close(slow)

	o := server.options(path, state)
	got, err := Run(t.Context(), o)
	if err != nil || !got.Complete() {
		t.Fatalf("Run = %+v, %v", got, err)
	}
	order, _ := expected(t, path)
	if diff := cmp.Diff(order, server.sent()); diff != "" {
		t.Errorf("order by account (-file +server):\n%s", diff)
	}
}

// TestResumedRunSkipsWhatIsDelivered interrupts a run on purpose at a known place.
func TestResumedRunSkipsWhatIsDelivered(t *testing.T) {
	state := t.TempDir()
	path := write(t, "a.csv", usages(1, 100))
	ctx, cancel := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped by the test")
	server := newFakeIngest(t, func(_ http.ResponseWriter, r *http.Request, nth int) bool {
		if nth != 4 {
			return false
		}
		cancel(stopped)
		_, _ = io.Copy(io.Discard, r.Body) // only then the server notices that the client left
		<-r.Context().Done()
		return true
	})
	o := server.options(path, state)
	o.Batch, o.Connections = 10, 1
	got, err := Run(ctx, o)
	if !errors.Is(err, stopped) || got.Counts[Accepted] != 30 || got.Complete() {
		t.Fatalf("the interrupted run = %+v, %v", got, err)
	}

	before := len(server.requests)
	got, err = Run(t.Context(), o)
	if err != nil || got.Skipped != 30 || got.Counts[Accepted] != 70 || !got.Complete() {
		t.Fatalf("the resumed run = %+v, %v", got, err)
	}
	// It asks about the first and the last line that were delivered, then goes on.
	asks := server.requests[before:]
	if diff := cmp.Diff([][]string{{id(1, 0)}, {id(1, 29)}}, [][]string{asks[0].ids, asks[1].ids}); diff != "" || asks[2].ids[0] != id(1, 30) {
		t.Errorf("the resumed run asked about %s, and began with %s", diff, asks[2].ids[0])
	}
	if got, err = Run(t.Context(), o); err != nil || got.Skipped != 0 || got.Counts[Accepted] != 100 {
		t.Fatalf("a complete file sent again = %+v, %v", got, err)
	}
}

func TestRestartAndOtherFilesIgnoreTheMark(t *testing.T) {
	server := newFakeIngest(t, nil)
	state := t.TempDir()
	path := write(t, "a.csv", usages(1, 10))
	o := server.options(path, state)
	found, err := scanFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := newProgressFile(state, found.sha256, o.URL, o.Org).save(4, time.Now()); err != nil {
		t.Fatal(err)
	}
	o.Restart = true
	if got, err := Run(t.Context(), o); err != nil || got.Skipped != 0 {
		t.Fatalf("--restart: %+v, %v", got, err)
	}

	for name, text := range map[string]string{
		"damaged":    `{"file_sha256":`,
		"too far":    `{"file_sha256":"` + found.sha256 + `","url":"` + o.URL + `","org":"` + o.Org + `","delivered":11}`,
		"other file": `{"file_sha256":"00","url":"` + o.URL + `","org":"` + o.Org + `","delivered":4}`,
	} {
		o.Restart = false
		mark := newProgressFile(state, found.sha256, o.URL, o.Org).path
		if err := os.WriteFile(mark, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := Run(t.Context(), o); err != nil || got.Skipped != 0 || !got.Complete() {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

func scanFile(path string) (content, error) {
	f, err := os.Open(path)
	if err != nil {
		return content{}, err
	}
	defer func() { _ = f.Close() }()
	return scan(f, CSV)
}

// TestTrackerNeverRunsAhead delivers and fails batches in any order: every line below next is delivered, and next is
// not.
func TestTrackerNeverRunsAhead(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "lines")
		order := rapid.Permutation(make([]int, n)).Draw(t, "shape")
		for i := range order {
			order[i] = i
		}
		order = rapid.Permutation(order).Draw(t, "order")
		track := newTracker(0)
		done := make([]bool, n)
		fails := map[int]bool{}
		for _, i := range order {
			seq := []line{{seq: int64(i)}}
			if rapid.IntRange(0, 9).Draw(t, "fails") == 0 {
				fails[i] = true
				track.failed(seq)
			} else {
				done[i] = true
				track.done(seq)
			}
			want := 0
			for want < n && done[want] {
				want++
			}
			if next, _ := track.state(); next != int64(want) {
				t.Fatalf("after %v (failed %v): next = %d, want %d", order, fails, next, want)
			}
		}
		if len(fails) > 0 && len(track.delivered) > n {
			t.Fatalf("%d lines remembered", len(track.delivered))
		}
	})
}
