package queuesuite

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

const (
	// patience is how long a test waits for what must happen before it fails.
	patience = 90 * time.Second
	// maxMessage is the limit of messages in all cases, in bytes: small enough for every broker.
	maxMessage = 200_000
	// unbounded is more bytes than a Receive can return.
	unbounded = 1 << 40
)

// env holds the helpers of a case. They fail the test, so they belong to its goroutine.
type env struct {
	t   testing.TB
	ctx context.Context // ends with the case, or its patience
}

func newEnv(t *testing.T) env {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return env{t, ctx}
}

var lastID atomic.Int64

// messages makes messages with ids and values of their own.
func messages(lane domain.Lane, n int) []ports.QueueMessage {
	made := make([]ports.QueueMessage, n)
	for i := range made {
		id := fmt.Sprintf("request-%d", lastID.Add(1))
		made[i] = ports.QueueMessage{ID: domain.ID(id), Lane: lane, Value: []byte("value of " + id)}
	}
	return made
}

// publish publishes messages that must all be confirmed.
func (e *env) publish(to ports.Publisher, all []ports.QueueMessage) {
	e.t.Helper()
	errs := to.Publish(e.ctx, all)
	require.Len(e.t, errs, len(all))
	for i, err := range errs {
		require.NoError(e.t, err, "message %d", i)
	}
}

// receive receives n messages, in as many steps as the broker likes.
func (e *env) receive(from ports.Receiver, n int) []ports.Received {
	e.t.Helper()
	var all []ports.Received
	for len(all) < n {
		some, err := from.Receive(e.ctx, n-len(all), unbounded)
		require.NoErrorf(e.t, err, "after %d of %d messages", len(all), n)
		require.NotEmpty(e.t, some)
		all = append(all, some...)
	}
	require.Len(e.t, all, n)
	return all
}

func settle(r ports.Receiver, all ...ports.Received) {
	tickets := make([]ports.Ticket, len(all))
	for i := range all {
		tickets[i] = all[i].Ticket
	}
	r.Settle(tickets)
}

// until asks again and again, for what no port lets one wait for.
func (e *env) until(what string, yes func() bool) {
	e.t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !yes() {
		select {
		case <-ticker.C:
		case <-e.ctx.Done():
			require.FailNow(e.t, "waited in vain", what)
		}
	}
}

// requireSame compares messages with what was received, in any order.
func (e *env) requireSame(sent []ports.QueueMessage, got []ports.Received) {
	e.t.Helper()
	require.ElementsMatch(e.t, sentValues(sent), values(got))
}

func values(all []ports.Received) []string {
	list := make([]string, len(all))
	for i := range all {
		list[i] = string(all[i].Value)
	}
	return list
}

func sentValues(all []ports.QueueMessage) []string {
	list := make([]string, len(all))
	for i := range all {
		list[i] = string(all[i].Value)
	}
	return list
}

// lost reports whether a message is somebody else's.
func lost(r ports.Received) bool { return r.Lost != nil && r.Lost.Err() != nil }

// requireLost waits until the holder of messages learns that they are lost, where the carrier can tell.
func (e *env) requireLost(all []ports.Received) {
	e.t.Helper()
	for _, r := range all {
		if r.Lost == nil {
			continue
		}
		select {
		case <-r.Lost.Done():
		case <-e.ctx.Done():
			require.FailNow(e.t, "a message is never lost")
		}
		require.ErrorIs(e.t, context.Cause(r.Lost), ports.ErrLost)
	}
}

// worker receives and settles in the background, and remembers what it saw.
type worker struct {
	mu    sync.Mutex
	times map[string]int // by value
}

// work starts a worker that goes on until the test ends or its queue is closed.
func (e *env) work(r ports.Receiver) *worker {
	e.t.Helper()
	w := &worker{times: make(map[string]int)}
	ctx, cancel := context.WithCancel(e.ctx)
	var working sync.WaitGroup
	working.Go(func() { w.run(ctx, r) })
	e.t.Cleanup(func() {
		cancel()
		working.Wait()
	})
	return w
}

func (w *worker) run(ctx context.Context, r ports.Receiver) {
	for {
		some, err := r.Receive(ctx, 16, 1<<20)
		if err != nil {
			return
		}
		w.mu.Lock()
		for _, m := range some {
			w.times[string(m.Value)]++
		}
		w.mu.Unlock()
		settle(r, some...)
	}
}

// seen is how many different messages came.
func (w *worker) seen() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.times)
}

func (w *worker) saw(value string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.times[value]
}
