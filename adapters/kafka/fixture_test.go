package kafka_test

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

	"github.com/openhqm/openhqm/adapters/kafka"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

// patience is how long tests wait for what must happen.
const patience = time.Minute

// options returns those of a queue of the test's own.
func options(tb testing.TB, brokers []string) kafka.Options {
	tb.Helper()
	name := fmt.Sprintf("%s-%d", strings.NewReplacer("/", "-", "#", "-", ",", "").Replace(tb.Name()), lastName.Add(1))
	return kafka.Options{
		Brokers: brokers, Topic: name, HighTopic: name + ".high", Group: name, InletGroup: name + ".results",
		Partitions: 4, Retention: 96 * time.Hour, MaxMessage: 1 << 20, SessionTimeout: 6 * time.Second,
		Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	}
}

var lastName atomic.Int64 // a test may run more than once

// open opens a queue that ends with the test. A server on a busy machine may take longer than Open waits.
func open(tb testing.TB, opts kafka.Options) (q *kafka.Queue) {
	tb.Helper()
	testkit.Until(tb, "the queue opens", func() bool {
		var err error
		if q, err = kafka.Open(tb.Context(), opts); errors.Is(err, ports.ErrUnavailable) {
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

func publish(tb testing.TB, q *kafka.Queue, all []ports.QueueMessage) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	for i, err := range q.Publish(ctx, all) {
		require.NoError(tb, err, "message %d", i)
	}
}

// receive gets exactly n messages.
func receive(tb testing.TB, q *kafka.Queue, n int) []ports.Received {
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

func settle(q *kafka.Queue, all ...ports.Received) {
	tickets := make([]ports.Ticket, len(all))
	for i := range all {
		tickets[i] = all[i].Ticket
	}
	q.Settle(tickets)
}

// settled waits until nothing is left of the queue.
func settled(tb testing.TB, q *kafka.Queue) {
	tb.Helper()
	until(tb, "everything is committed", func() bool {
		lag, err := q.Lag(tb.Context())
		return err == nil && lag.Messages == 0
	})
}

// healthy waits until the queue is well: a coordinator that was just started refuses for a moment.
func healthy(tb testing.TB, q *kafka.Queue) {
	tb.Helper()
	until(tb, "it is healthy", func() bool { return q.Probe(tb.Context()) == nil })
}

func until(tb testing.TB, what string, yes func() bool) {
	tb.Helper()
	require.Eventually(tb, yes, patience, 50*time.Millisecond, what)
}

func ids(all []ports.Received) []domain.ID {
	list := make([]domain.ID, len(all))
	for i := range all {
		list[i] = all[i].ID
	}
	return list
}

func sentIDs(all []ports.QueueMessage) []domain.ID {
	list := make([]domain.ID, len(all))
	for i := range all {
		list[i] = all[i].ID
	}
	return list
}
