package chdb_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"reckoner/internal/embedded/chdb"
	"reckoner/internal/embedded/chdb/chdbtest"
)

// childDir is set for the child process that TestKilledInserts kills.
const childDir = "RECKONER_TEST_CHDB_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := insertForEver(dir); err != nil {
			fmt.Println("error", err)
		}
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// rowsPerInsert is the size of the inserts that the child makes.
const rowsPerInsert = 5000

// insertForEver inserts batches and prints the number of each when it is acknowledged.
func insertForEver(dir string) error {
	ctx := context.Background()
	library, err := chdb.Library(ctx, chdb.LibraryOptions{})
	if err != nil {
		return err
	}
	engine, err := chdb.Open(ctx, chdb.Options{Dir: dir, Library: library})
	if err != nil {
		return err
	}
	client := http.Client{Transport: engine.Transport()}
	post := func(query, body string) (string, error) {
		res, err := client.Post("http://embedded/?"+query, "", strings.NewReader(body))
		if err != nil {
			return "", err
		}
		text, err := io.ReadAll(res.Body)
		if err == nil && res.StatusCode != http.StatusOK {
			err = errors.New(string(text))
		}
		return strings.TrimSpace(string(text)), errors.Join(err, res.Body.Close())
	}
	if _, err := post("", "CREATE TABLE IF NOT EXISTS t (batch UInt64, n UInt64) ENGINE = MergeTree ORDER BY (batch, n) SETTINGS fsync_after_insert = 1, fsync_part_directory = 1"); err != nil {
		return err
	}
	var first int
	text, err := post("", "SELECT max(batch) + 1 FROM t")
	if err != nil {
		return err
	}
	if _, err := fmt.Sscan(text, &first); err != nil {
		return err
	}
	for batch := first; ; batch++ {
		var body strings.Builder
		for n := range rowsPerInsert {
			fmt.Fprintf(&body, "%d,%d\n", batch, n)
		}
		if _, err := post("query="+esc("INSERT INTO t FORMAT CSV"), body.String()); err != nil {
			return err
		}
		fmt.Println("acked", batch)
	}
}

// TestKilledInserts kills a process while it inserts, several times over one
// directory: every insert is whole or absent, and whole if it was acknowledged.
func TestKilledInserts(t *testing.T) {
	chdbtest.Library(t) // so that no child fetches it
	dir := t.TempDir()
	acked := map[int]bool{}
	for round := range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var batch int
			if _, err := fmt.Sscanf(lines.Text(), "acked %d", &batch); err != nil {
				t.Errorf("child: %s", lines.Text())
				break
			}
			acked[batch] = true
			if n == 3+5*round { // the next one is under way by now
				time.Sleep(time.Duration(round) * 3 * time.Millisecond) // not to synchronise: to hit another moment of it
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait() // killed
	}
	server := httptest.NewServer(chdbtest.Open(t, chdb.Options{Dir: dir}).Handler())
	defer server.Close()
	c := client{t, server.URL}
	if got := c.post(fmt.Sprintf("SELECT batch, count() FROM t GROUP BY batch HAVING count() != %d", rowsPerInsert)); got != "" {
		t.Errorf("inserts that are neither whole nor absent:\n%s", got)
	}
	for batch := range acked {
		if got := c.post(fmt.Sprintf("SELECT count() FROM t WHERE batch = %d", batch)); got != fmt.Sprintln(rowsPerInsert) {
			t.Errorf("acknowledged batch %d: %s", batch, got)
		}
	}
	if len(acked) < 10 {
		t.Errorf("only %d inserts were acknowledged", len(acked))
	}
}
