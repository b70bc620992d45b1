package paired_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/conformance"
	"github.com/openhqm/openhqm/tests/testkit"
)

// TestABrokerDiesAndComesBackUnderLoad has a worker die too while the broker is away, with what it holds.
func TestABrokerDiesAndComesBackUnderLoad(t *testing.T) {
	t.Parallel()
	for _, carrier := range testkit.Carriers() {
		t.Run(carrier.Name, func(t *testing.T) {
			t.Parallel()
			broker := carrier.Start(t)
			diesAndComesBack(t, broker, join(t, carrier, broker))
		})
	}
}

func diesAndComesBack(t *testing.T, broker testkit.Broker, queue joined) {
	t.Helper()
	l := startLoad(t, queue)
	dying, die := context.WithCancel(t.Context())
	defer die()
	stopWorkers := l.loop(func(ctx context.Context) { l.work(ctx, l.NewConsumer(ctx)) })
	stopClients := l.loop(l.submit)
	const some = 500
	testkit.Until(t, "work is done", func() bool { return l.done() > some })
	held, err := l.NewConsumer(dying).Receive(t.Context(), ports.Credit{Count: 16, Bytes: 1 << 30})
	require.NoError(t, err)

	broker.Kill()
	refused := l.refused.Load()
	testkit.Until(t, "nothing is taken in", func() bool { return l.refused.Load() > refused })
	die()
	broker.Restart(t)
	before := l.done()
	testkit.Until(t, "work is done again", func() bool { return l.done() > before+some })

	stopClients()
	for _, id := range append(l.accepted(), requestIDs(held)...) {
		l.requireCompleted(id)
	}
	stopWorkers()
	for id, times := range l.completed {
		require.Equal(t, 1, times, id)
	}
}

func requestIDs(deliveries []ports.Delivery) []domain.ID {
	ids := make([]domain.ID, len(deliveries))
	for i, d := range deliveries {
		ids[i] = d.Request.ID
	}
	return ids
}

// load is clients and workers of one process, and the account of what was confirmed to them.
type load struct {
	conformance.Instance

	t       *testing.T
	refused atomic.Int64 // requests that were not taken in

	mu        sync.Mutex
	confirmed []domain.ID
	completed map[domain.ID]int
}

func startLoad(t *testing.T, queue joined) *load {
	t.Helper()
	store := testkit.StartRedis(t)
	instance, err := open(t.Context(), queue.join, redis.Options{
		URL: store.URL(), Queue: "openhqm-requests", Shards: 1,
		Lease: time.Second, TTL: time.Hour, DeadLetterTTL: time.Hour,
		Now: time.Now, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, instance.Close()) })
	return &load{Instance: instance, t: t, completed: make(map[domain.ID]int)}
}

// loop runs f in the background until it is stopped, or the test ends.
func (l *load) loop(f func(ctx context.Context)) (stop func()) {
	ctx, cancel := context.WithCancel(l.t.Context())
	var running sync.WaitGroup
	running.Go(func() { f(ctx) })
	stop = func() {
		cancel()
		running.Wait()
	}
	l.t.Cleanup(stop)
	return stop
}

// submit is a client that sends a few requests at a time.
func (l *load) submit(ctx context.Context) {
	for ctx.Err() == nil {
		reqs := make([]domain.Request, 10)
		for i := range reqs {
			reqs[i] = newRequest(domain.ID(uniqueName("request")))
			reqs[i].Priority = i
		}
		trying, cancel := context.WithTimeout(ctx, 2*time.Second)
		answers := l.Intake.Accept(trying, reqs)
		cancel()
		l.mu.Lock()
		for i, answer := range answers {
			if answer.Err == nil {
				l.confirmed = append(l.confirmed, reqs[i].ID)
				continue
			}
			l.refused.Add(1)
			if !errors.Is(answer.Err, ports.ErrUnavailable) {
				l.t.Errorf("Accept while the broker is away: %v", answer.Err)
			}
		}
		l.mu.Unlock()
	}
}

// work completes what comes, and counts what was taken.
func (l *load) work(ctx context.Context, w ports.Work) {
	for {
		deliveries, err := w.Receive(ctx, ports.Credit{Count: 16, Bytes: 1 << 30})
		if err != nil {
			return // nothing else ends it; if that were not so, the work would not be done
		}
		finishes := make([]ports.Finish, len(deliveries))
		for i, d := range deliveries {
			finishes[i] = ports.Finish{ID: d.Request.ID, Token: d.Token, Outcome: domain.Outcome{
				Status: domain.Completed, Attempts: d.Attempts + 1, At: time.Now(),
			}}
		}
		errs := w.Finish(ctx, finishes)
		l.mu.Lock()
		for i, err := range errs {
			if err == nil {
				l.completed[finishes[i].ID]++
			}
		}
		l.mu.Unlock()
	}
}

func (l *load) done() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.completed)
}

func (l *load) accepted() []domain.ID {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.confirmed)
}

func (l *load) requireCompleted(id domain.ID) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), testkit.Patience)
	defer cancel()
	record, err := l.Results.Wait(ctx, id)
	require.NoError(l.t, err, id)
	require.Equal(l.t, domain.Completed, record.Status, id)
}
