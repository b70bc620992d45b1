package paired_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/application/paired"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/tests/memorycarrier"
	"github.com/openhqm/openhqm/tests/testkit"
)

// lossAge is far more than it takes to publish a message here, also on a busy machine.
const lossAge = 5 * time.Second

// searchLosses looks for lost messages, much more often than in production.
func (l *load) searchLosses(broker *memorycarrier.Broker) {
	l.t.Helper()
	db, ok := l.Results.(*redis.DB)
	require.True(l.t, ok)
	losses := paired.NewLosses(broker.Join(requests), db, paired.LossOptions{
		Age: lossAge, Every: 10 * time.Millisecond, Logger: slog.New(slog.DiscardHandler),
	})
	l.loop(func(ctx context.Context) { _ = losses.Run(ctx) })
}

// awaitBacklog lets clients submit until the first requests are older than lossAge.
func (l *load) awaitBacklog() {
	l.t.Helper()
	testkit.Until(l.t, "requests have waited for long", func() bool {
		d, err := l.Gauge.Depths(l.t.Context())
		return err == nil && !d.OldestReady.IsZero() && time.Since(d.OldestReady) > lossAge+time.Second
	})
}

// mortalWorkers is a loop of workers that die with what they hold, one after another.
func (l *load) mortalWorkers(ctx context.Context) {
	for ctx.Err() == nil {
		life, die := context.WithTimeout(ctx, 700*time.Millisecond)
		l.work(life, l.NewConsumer(life))
		die()
	}
}

func TestNothingThatAWorkerMayStillGetIsTakenForLost(t *testing.T) {
	t.Parallel()
	broker := nastyBroker()
	l := startLoad(t, joined{join: joining(broker)})
	l.searchLosses(broker)
	stopClients := l.loop(l.submit)
	l.awaitBacklog()
	l.loop(l.mortalWorkers)
	l.loop(func(ctx context.Context) { l.work(ctx, l.NewConsumer(ctx)) })
	testkit.Until(t, "work is done", func() bool { return l.done() > len(l.accepted())/2 })

	stopClients()
	for _, id := range l.accepted() {
		l.requireCompleted(id)
	}
}

func TestWhatIsPurgedUnderLoadIsFoundAndNothingElse(t *testing.T) {
	t.Parallel()
	broker := nastyBroker()
	l := startLoad(t, joined{join: joining(broker)})
	l.searchLosses(broker)
	stopClients := l.loop(l.submit)
	testkit.Until(t, "some are accepted", func() bool { return len(l.accepted()) > 100 })
	purged := l.accepted()
	broker.Purge(requests)
	broker.Purge(requests + memorycarrier.HighSuffix)
	after := len(l.accepted()) + 100 // what is accepted now may have been published before
	testkit.Until(t, "more are accepted", func() bool { return len(l.accepted()) > after })
	l.loop(l.mortalWorkers)
	l.loop(func(ctx context.Context) { l.work(ctx, l.NewConsumer(ctx)) })

	for _, id := range purged { // while the queue is never empty
		l.requireLost(id)
	}
	stopClients()
	for _, id := range l.accepted()[after:] {
		l.requireCompleted(id)
	}
}

func (l *load) requireLost(id domain.ID) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(l.t.Context(), testkit.Patience)
	defer cancel()
	_, err := l.Results.Wait(ctx, id)
	require.NoError(l.t, err, id)
	record, err := l.Results.Find(ctx, id)
	require.NoError(l.t, err, id)
	require.Equal(l.t, domain.Failed, record.Status, id)
	require.Equal(l.t, domain.ReasonLost, record.Result.Reason, id)
}
