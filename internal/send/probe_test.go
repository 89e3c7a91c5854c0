package send

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"reckoner"
)

// interrupted returns a server that has the first lines of a file, what the sender of them has left behind, and the
// options that go on with it.
func interrupted(t *testing.T, text string, delivered int64, disturb disturbance) (*fakeIngest, Options) {
	t.Helper()
	path, state := write(t, "a.csv", text), t.TempDir()
	server := newFakeIngest(t, disturb)
	o := server.options(path, state)
	o.Connections, o.Batch = 1, 10
	part := write(t, "part.csv", strings.Join(strings.SplitAfter(text, "\n")[:1+delivered], ""))
	first := o
	first.Path = part
	if got, err := Run(t.Context(), first); err != nil || got.Lines != delivered || !got.Complete() {
		t.Fatalf("%+v, %v", got, err)
	}
	found, err := scanFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := newProgressFile(state, found.sha256, o.URL, o.Org).save(delivered, time.Now()); err != nil {
		t.Fatal(err)
	}
	return server, o
}

func probesOf(server *fakeIngest) (ids []string) {
	for _, r := range server.requests {
		if r.waits {
			ids = append(ids, r.ids...)
		}
	}
	return ids
}

// A server that lost what it took, in whole or in part, gets every line again, in the order of the file.
func TestAServerThatForgotGetsEverything(t *testing.T) {
	text := usages(2, 50)
	for name, c := range map[string]struct {
		lost    func(string) bool
		skipped int64
		probes  []string
	}{
		"nothing":         {func(string) bool { return false }, 60, []string{id(1, 0), id(2, 29)}},
		"everything":      {func(string) bool { return true }, 0, []string{id(1, 0)}},
		"the newer part":  {func(id string) bool { return id[len(id)-2:] >= "20" }, 0, []string{id(1, 0), id(2, 29)}},
		"the last usage":  {func(one string) bool { return one == id(2, 29) }, 0, []string{id(1, 0), id(2, 29)}},
		"the first usage": {func(one string) bool { return one == id(1, 0) }, 0, []string{id(1, 0)}},
	} {
		t.Run(name, func(t *testing.T) {
			server, o := interrupted(t, text, 60, nil)
			server.forget(c.lost)
			var said bytes.Buffer
			o.Out = &said
			got, err := Run(t.Context(), o)
			if err != nil || got.Skipped != c.skipped || got.Counts[Accepted] != 100-c.skipped || !got.Complete() {
				t.Fatalf("%+v, %v", got, err)
			}
			if diff := cmp.Diff(c.probes, probesOf(server)); diff != "" {
				t.Errorf("asked about (-want +got):\n%s", diff)
			}
			if again := strings.Contains(said.String(), "sending every line"); again != (c.skipped == 0) {
				t.Errorf("said %q", said.String())
			}
			if len(server.usages) != 100 {
				t.Errorf("the server has %d usages", len(server.usages))
			}
			order, _ := expected(t, o.Path)
			if name == "everything" && !cmp.Equal(order, server.sent()) {
				t.Errorf("order by account:\n%s", cmp.Diff(order, server.sent()))
			}
		})
	}
}

// What is no proof is not taken for one.
func TestOnlyADuplicateIsProof(t *testing.T) {
	for name, c := range map[string]struct {
		probe   func(w http.ResponseWriter, r *http.Request)
		says    string
		skipped int64
	}{
		"undecided":     {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(202); _, _ = io.WriteString(w, "{}") }, "did not decide", 0},
		"no outcome":    {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "{}") }, "new to it", 0},
		"another body":  {func(w http.ResponseWriter, _ *http.Request) { refuse(w, 409, 6, "conflict") }, "conflict", 0},
		"refused":       {func(w http.ResponseWriter, _ *http.Request) { refuse(w, 400, 3, "too old") }, "too old", 0},
		"an error":      {func(w http.ResponseWriter, _ *http.Request) { refuse(w, 503, 14, "the log is slow") }, "not clear", 0},
		"a broken line": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "not clear", 0},
		"slow down":     {func(w http.ResponseWriter, _ *http.Request) { refuse(w, 429, 8, "slow down") }, "slow down", 6},
	} {
		t.Run(name, func(t *testing.T) {
			asked := 0
			server, o := interrupted(t, usages(1, 10), 6, func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if r.Header.Get("Prefer") == "" {
					return false
				}
				if asked++; asked > 1 {
					return false
				}
				c.probe(w, r)
				return true
			})
			var said bytes.Buffer
			o.Out = &said
			got, err := Run(t.Context(), o)
			if err != nil || got.Skipped != c.skipped || !got.Complete() || !strings.Contains(said.String(), c.says) {
				t.Errorf("%+v, %v, said %q", got, err, said.String())
			}
			if len(server.usages) != 10 {
				t.Errorf("the server has %d usages", len(server.usages))
			}
		})
	}
}

// A sender that ends while it asks leaves no mark when the answer is open, and its mark when nothing was sent.
func TestAnInterruptedQuestionProvesNothing(t *testing.T) {
	stopped := errors.New("stopped by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	_, o := interrupted(t, usages(1, 10), 6, func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Header.Get("Prefer") == "" {
			return false
		}
		cancel(stopped)
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return true
	})
	if _, err := Run(ctx, o); !errors.Is(err, stopped) {
		t.Fatalf("got %v", err)
	}
	if left := marks(t, o.StateDir); len(left) != 0 {
		t.Errorf("left %v", left)
	}

	server, o := interrupted(t, usages(1, 10), 6, nil)
	server.server.Close()
	o.RetryFor = time.Nanosecond
	before := marks(t, o.StateDir)
	if _, err := Run(t.Context(), o); err == nil || !strings.Contains(err.Error(), "no final answer") {
		t.Fatalf("got %v", err)
	}
	if diff := cmp.Diff(before, marks(t, o.StateDir)); diff != "" {
		t.Errorf("the mark is gone: %s", diff)
	}
}

// A probe is a delivered usage: the first is the first line of its account, the second the last one delivered.
func TestProbesAreDeliveredUsages(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 12).Draw(t, "lines")
		delivered := rapid.Int64Range(0, int64(n)).Draw(t, "delivered")
		text := "kind,id,account_id,amount,usage_id\n"
		lines := make([]line, n)
		for i := range lines {
			account, revert := id(0, rapid.IntRange(0, 2).Draw(t, "account")), rapid.Bool().Draw(t, "revert")
			lines[i] = line{seq: int64(i), account: account, kind: reckoner.Usage}
			if revert {
				lines[i].kind = reckoner.Revert
				text += fmt.Sprintf("revert,r%d,%s,,%s\n", i, account, id(9, 9))
			} else {
				text += fmt.Sprintf("usage,%s,%s,1,\n", id(1, i), account)
			}
		}
		want := []int64{-1, -1} // by trying every line
		for i := delivered - 1; i >= 0; i-- {
			begins := true
			for j := range i {
				begins = begins && lines[j].account != lines[i].account
			}
			if lines[i].kind == reckoner.Usage && begins {
				want[0] = i
			}
			if lines[i].kind == reckoner.Usage {
				want[1] = max(want[1], i)
			}
		}
		r, err := newReader(strings.NewReader(text), CSV)
		if err != nil {
			t.Fatal(err)
		}
		probes, err := chooseProbes(r, delivered)
		if err != nil {
			t.Fatal(err)
		}
		got := []int64{-1, -1}
		for i := range probes {
			got[i] = probes[i].seq
		}
		if want[0] < 0 {
			want[1] = -1
		} else if want[0] == want[1] {
			want[1] = -1
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%d delivered of\n%s%s", delivered, text, diff)
		}
	})
}

func TestWithoutAUsageEverythingGoesOutAgain(t *testing.T) {
	text := "kind,id,account_id,amount,usage_id\nrevert,r1," + id(0, 1) + ",," + id(9, 9) + "\nusage," + id(1, 1) + "," + id(0, 1) + ",1,\n"
	server, o := interrupted(t, text, 1, nil)
	got, err := Run(t.Context(), o)
	if err != nil || got.Skipped != 0 || !got.Complete() || len(probesOf(server)) != 0 {
		t.Errorf("%+v, %v, asked about %v", got, err, probesOf(server))
	}
}
