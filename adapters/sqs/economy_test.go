package sqs_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/sqs"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

// TestRequestsAreShared holds how much SQS is asked for under load, since every request costs: 0.3 a message is the
// least that there can be, with one send, one receive and one deletion for ten.
func TestRequestsAreShared(t *testing.T) {
	t.Parallel()
	const n, callers = 4000, 128
	opts, w := options(t, testkit.SharedSQS(t).URL), newWire()
	opts.HTTPClient = client(t, w)
	q := open(t, opts)
	before := w.count("") - w.count("GetQueueAttributes")
	var load sync.WaitGroup
	next := make(chan []ports.QueueMessage)
	for range callers {
		load.Go(func() {
			for one := range next {
				if err := errors.Join(q.Publish(context.Background(), one)...); err != nil {
					t.Error(err)
				}
			}
		})
	}
	load.Go(func() {
		defer close(next)
		for range n {
			next <- messages(domain.LaneLow, 1)
		}
	})
	for left := n; left > 0; {
		some, err := q.Receive(t.Context(), 64, 1<<30)
		require.NoError(t, err)
		settle(q, some...)
		left -= len(some)
	}
	load.Wait()
	settled(t, q)
	requests := w.count("") - before - w.count("GetQueueAttributes")
	t.Logf("%.2f requests a message", float64(requests)/n)
	require.Less(t, float64(requests)/n, 0.45)
}

// TestAnIdleWorkerPollsOnceAtATime holds that nothing is asked for twice where there is nothing.
func TestAnIdleWorkerPollsOnceAtATime(t *testing.T) {
	t.Parallel()
	opts, w := options(t, testkit.SharedSQS(t).URL), newWire()
	opts.HTTPClient = client(t, w)
	sqs.SetLongPoll(&opts, time.Second)
	q := open(t, opts)
	publish(t, q, messages(domain.LaneLow, 200))
	settle(q, receive(t, q, 200)...)
	settled(t, q)
	until(t, "all polls have ended", func() bool { return w.polling() == 0 })

	before := w.count("ReceiveMessage")
	w.mu.Lock()
	w.most, w.hasty = 0, 0
	w.mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	idle := make(chan error, 1)
	go func() {
		_, err := q.Receive(ctx, 64, 1<<20)
		idle <- err
	}()
	until(t, "it has polled a few times", func() bool { return w.count("ReceiveMessage") >= before+8 })
	cancel()
	require.ErrorIs(t, <-idle, context.Canceled)
	w.mu.Lock()
	defer w.mu.Unlock()
	require.Equal(t, 1, w.most)
	require.Zero(t, w.hasty, "each waits until something comes")
	require.Zero(t, w.counts["ChangeMessageVisibilityBatch"])
}
