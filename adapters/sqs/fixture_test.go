package sqs_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/sqs"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

// patience is how long tests wait for what must happen.
const patience = time.Minute

// options returns those of a queue of the test's own.
func options(tb testing.TB, endpoint string) sqs.Options {
	tb.Helper()
	name := uniqueName(tb)
	return sqs.Options{
		Region: "eu-central-1", Endpoint: endpoint, Queue: name, HighQueue: name + "-high", CreateQueues: true,
		Retention: 96 * time.Hour, Visibility: time.Minute, MaxMessage: 1 << 20,
		Credentials: sqs.Credentials{KeyID: "test", Secret: "no-such-secret"},
		Now:         time.Now, Logger: slog.New(slog.DiscardHandler),
	}
}

var lastName atomic.Int64 // a test may run more than once

func uniqueName(tb testing.TB) string {
	tb.Helper()
	name := strings.NewReplacer("/", "-", "#", "-", ",", "", "'", "").Replace(tb.Name())
	return fmt.Sprintf("%.60s-%d", name, lastName.Add(1))
}

// open opens a queue that ends with the test. A server on a busy machine may take longer than Open waits.
func open(tb testing.TB, opts sqs.Options) (q *sqs.Queue) {
	tb.Helper()
	testkit.Until(tb, "the queue opens", func() bool {
		var err error
		if q, err = sqs.Open(tb.Context(), opts); errors.Is(err, ports.ErrUnavailable) {
			return false
		}
		require.NoError(tb, err)
		return true
	})
	tb.Cleanup(func() { require.NoError(tb, q.Close()) })
	return q
}

var lastID atomic.Int64

func messages(lane domain.Lane, n int) []ports.QueueMessage {
	made := make([]ports.QueueMessage, n)
	for i := range made {
		id := fmt.Sprintf("request-%d", lastID.Add(1))
		made[i] = ports.QueueMessage{ID: domain.ID(id), Lane: lane, Value: []byte("value of " + id)}
	}
	return made
}

func publish(tb testing.TB, q ports.Publisher, all []ports.QueueMessage) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	for i, err := range q.Publish(ctx, all) {
		require.NoError(tb, err, "message %d", i)
	}
}

// receive gets exactly n messages.
func receive(tb testing.TB, q ports.Receiver, n int) []ports.Received {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	var all []ports.Received
	for len(all) < n {
		some, err := q.Receive(ctx, n-len(all), 1<<40)
		require.NoErrorf(tb, err, "after %d of %d messages", len(all), n)
		all = append(all, some...)
	}
	return all
}

func settle(q ports.Receiver, all ...ports.Received) {
	tickets := make([]ports.Ticket, len(all))
	for i := range all {
		tickets[i] = all[i].Ticket
	}
	q.Settle(tickets)
}

// settled waits until nothing is left of the queue.
func settled(tb testing.TB, q *sqs.Queue) {
	tb.Helper()
	until(tb, "everything is deleted", func() bool {
		lag, err := q.Lag(tb.Context())
		return err == nil && lag.Messages == 0
	})
}

func until(tb testing.TB, what string, yes func() bool) {
	tb.Helper()
	require.Eventually(tb, yes, patience, 20*time.Millisecond, what)
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
