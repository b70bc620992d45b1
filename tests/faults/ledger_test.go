package faults_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// ledger remembers what the gateway has promised, and the final results it has given.
type ledger struct {
	mu         sync.Mutex
	accepted   []*entry
	finals     map[string]string // documents by id, as they were read first
	milestones []milestone
}

// milestone is a number of accepted requests that somebody waits for.
type milestone struct {
	accepted int
	reached  chan struct{}
}

func newLedger() *ledger { return &ledger{finals: make(map[string]string)} }

func (l *ledger) accept(e *entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.accepted = append(l.accepted, e)
	l.milestones = slices.DeleteFunc(l.milestones, func(m milestone) bool {
		reached := len(l.accepted) >= m.accepted
		if reached {
			close(m.reached)
		}
		return reached
	})
}

// after returns a channel that is closed when n more requests have been accepted.
func (l *ledger) after(n int) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := milestone{accepted: len(l.accepted) + n, reached: make(chan struct{})}
	l.milestones = append(l.milestones, m)
	return m.reached
}

func (l *ledger) entries() []*entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.accepted)
}

// final compares a final result with what was read before.
func (l *ledger) final(id, document string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if first, known := l.finals[id]; known && first != document {
		return fmt.Errorf("the final result of %s has changed:\n%s\n%s", id, first, document)
	}
	l.finals[id] = document
	return nil
}

// spotCheck reads a few results as they are at this moment.
func (l *ledger) spotCheck(t *testing.T, client *testkit.Client) {
	t.Helper()
	entries := l.entries()
	for range min(len(entries), 30) {
		e := entries[rand.IntN(len(entries))]
		answer, err := client.Response(t.Context(), e.id, "")
		require.NoError(t, err)
		if answer.Code == http.StatusAccepted {
			continue
		}
		require.Equalf(t, http.StatusOK, answer.Code, "%s was accepted as %s: %s", e.key, e.id, answer.Body)
		require.NoError(t, l.final(e.id, string(answer.Body)))
	}
}

// await waits until everything that was promised is final, and checks that it is right: completed, with the answer
// that belongs to it, and the same whenever it is read.
func (l *ledger) await(t *testing.T, client *testkit.Client) {
	t.Helper()
	entries := l.entries()
	require.NotEmpty(t, entries)
	var group sync.WaitGroup
	for part := range slices.Chunk(entries, len(entries)/8+1) {
		group.Go(func() {
			for _, e := range part {
				if err := l.awaitOne(t, client, e); err != nil {
					t.Errorf("%s: %v", e.key, err)
					return
				}
			}
		})
	}
	group.Wait()
	client.RequireDepth(testkit.Depth{})
}

func (l *ledger) awaitOne(t *testing.T, client *testkit.Client, e *entry) error {
	t.Helper()
	ctx, cancel := testkit.Patiently(t)
	defer cancel()
	for range 2 {
		result, err := client.TryResult(ctx, e.id)
		if err != nil {
			return fmt.Errorf("wait for %s: %w", e.id, err)
		}
		if err := l.final(e.id, string(result.Document)); err != nil {
			return err
		}
		right := result.Status == "COMPLETED" && string(result.Result) == e.payload && result.Attempts == e.attempts()
		if !right {
			return fmt.Errorf("not the right end: %.400s", result.Document)
		}
	}
	return nil
}

// audit compares the ledger with what the backend has seen: every request under one id, every attempt at least once.
// It returns how many calls were repetitions of an attempt that had been made already.
func (l *ledger) audit(t *testing.T, backend *testkit.Backend) (repeated int) {
	t.Helper()
	type attempt struct {
		id     string
		number int
	}
	ids := make(map[string]string) // by payload
	seen := make(map[attempt]int)
	for _, call := range backend.Calls() {
		payload := string(call.Body)
		if id, known := ids[payload]; known {
			require.Equalf(t, id, call.ID, "%s was accepted twice", payload)
		}
		ids[payload] = call.ID
		seen[attempt{call.ID, call.Attempt}]++
	}
	entries := l.entries()
	for _, e := range entries {
		require.Equalf(t, e.id, ids[e.payload], "%s reached the backend under another id, or not at all", e.key)
		for number := 1; number <= e.attempts(); number++ {
			times := seen[attempt{e.id, number}]
			require.NotZerof(t, times, "attempt %d of %s never reached the backend", number, e.key)
			repeated += times - 1
			delete(seen, attempt{e.id, number})
		}
	}
	require.Empty(t, seen, "calls that nobody asked for")
	require.Len(t, ids, len(entries))
	return repeated
}

// longest returns the longest time from a submission to the end of a request, of those that await has read.
func (l *ledger) longest(t *testing.T) time.Duration {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var longest time.Duration
	for _, document := range l.finals {
		var result testkit.Result
		require.NoError(t, json.Unmarshal([]byte(document), &result))
		longest = max(longest, result.CompletedAt.Sub(result.SubmittedAt))
	}
	return longest
}
