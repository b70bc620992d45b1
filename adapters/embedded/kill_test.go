package embedded

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// A confirmation is printed in one write after it was given: what the parent reads whole was confirmed. They sort by
// what comes later.
const (
	confirmAccepted = "1-accepted"
	confirmRetried  = "2-retried"
	confirmFinished = "3-finished"
)

func confirm(what string, id domain.ID) { _, _ = os.Stdout.WriteString(what + " " + string(id) + "\n") }

// workUntilKilled accepts and finishes under load. It ends itself only when nobody is there any more to kill it.
func workUntilKilled(dir string) {
	db, err := Open(testOptions(dir, time.Now))
	if err != nil {
		panic(err)
	}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	var workers sync.WaitGroup
	for i := range 4 {
		workers.Go(func() { produceForEver(db, i) })
		workers.Go(func() { consumeForEver(db) })
	}
	workers.Wait()
}

func produceForEver(db *DB, producer int) {
	for n := 0; ; n++ {
		r := newRequest(time.Now())
		r.ID = domain.ID(fmt.Sprintf("%d-%d-%d", os.Getpid(), producer, n))
		r.Body, r.Priority = []byte(r.ID), n%10
		if db.Accept(context.Background(), []domain.Request{r})[0].Err == nil {
			confirm(confirmAccepted, r.ID)
		}
	}
}

func consumeForEver(db *DB) {
	w, _ := db.NewConsumer(context.Background())
	for {
		deliveries, err := w.Receive(context.Background(), ports.Credit{Count: 1 + rand.IntN(20), Bytes: 1 << 20})
		if err != nil {
			panic(err)
		}
		for _, d := range deliveries {
			out, what := outcome(domain.Completed, time.Now()), confirmFinished
			out.Response.Body = d.Request.Body
			if d.Attempts == 0 && rand.IntN(5) == 0 {
				out, what = outcome(domain.Pending, time.Now()), confirmRetried
				out.NextAttemptAt = time.Now().Add(rand.N(20 * time.Millisecond))
			}
			if tryFinish(w, d, out) == nil {
				confirm(what, d.Request.ID)
			}
		}
	}
}

// TestKillLosesNothing kills a process in the middle of its work, again and again over the same directory. Whatever it
// had confirmed must be there.
func TestKillLosesNothing(t *testing.T) {
	t.Parallel()
	rounds := 6
	if testing.Short() {
		rounds = 3
	}
	dir := t.TempDir()
	book := &confirmations{kinds: make(map[domain.ID]string)}
	for round := range rounds {
		child := startChild(t, childWork, dir)
		book.read(child, rand.IntN(4000))
		require.NoError(t, child.cmd.Process.Kill())
		book.read(child, -1)
		require.Error(t, child.cmd.Wait(), "killed")
		t.Logf("round %d: %d requests confirmed", round, len(book.kinds))

		db, err := Open(testOptions(dir, time.Now))
		require.NoError(t, err)
		db.requireConsistent(t)
		book.require(t, db)
		require.NoError(t, db.Close())
	}
	requireDrains(t, dir, book)
}

// confirmations are what the processes said of their requests.
type confirmations struct {
	kinds map[domain.ID]string
}

// read reads n lines, or with a negative n what is left.
func (b *confirmations) read(c *child, n int) {
	for i := 0; i != n; i++ {
		line, ok := c.line()
		if !ok {
			return
		}
		kind, id, _ := strings.Cut(line, " ")
		// Lines of several goroutines come in any order; a later kind holds.
		b.kinds[domain.ID(id)] = max(kind, b.kinds[domain.ID(id)])
	}
}

func (b *confirmations) require(t *testing.T, db *DB) {
	t.Helper()
	for id, kind := range b.kinds {
		record, err := db.Find(t.Context(), id)
		require.NoError(t, err, "%s %s", kind, id)
		switch kind {
		case confirmFinished:
			require.Equal(t, domain.Completed, record.Status)
			require.Equal(t, string(id), string(record.Result.Response.Body))
		case confirmRetried:
			require.Equal(t, 1, record.Attempts)
		}
	}
}

// requireDrains works off what is left, after which everything that was confirmed must be final.
func requireDrains(t *testing.T, dir string, book *confirmations) {
	t.Helper()
	db := open(t, testOptions(dir, time.Now))
	w := consume(t, db)
	for {
		depths, err := db.Depths(t.Context())
		require.NoError(t, err)
		if depths.Ready+depths.Delayed == 0 {
			break
		}
		for _, d := range receive(t, w, 100) {
			require.Equal(t, string(d.Request.ID), string(d.Request.Body))
			out := outcome(domain.Completed, time.Now())
			out.Response.Body = d.Request.Body
			finish(t, w, d, out)
		}
	}
	for id := range book.kinds {
		record, err := db.State(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, domain.Completed, record.Status)
	}
	db.requireConsistent(t)
	n := db.count(t)
	require.Zero(t, n["w"]+n["d"]+n["q"])
}
