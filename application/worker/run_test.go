package worker_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application/worker"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// delivery is one of a request that has a day left and so many bytes.
func delivery(id domain.ID, size int) ports.Delivery {
	return ports.Delivery{
		Request: domain.Request{ID: id, Body: make([]byte, size), Deadline: time.Now().Add(24 * time.Hour)},
		Token:   "token of " + string(id), Lease: context.Background(), Attempts: 2, Deliveries: 1,
	}
}

// deliveries are n of them, with ids that begin with prefix.
func deliveries(prefix string, n, size int) []ports.Delivery {
	all := make([]ports.Delivery, n)
	for i := range all {
		all[i] = delivery(domain.ID(fmt.Sprintf("%s%d", prefix, i)), size)
	}
	return all
}

func options() worker.Options {
	return worker.Options{
		Slots: 4, MaxBytes: 1 << 20, Drain: 25 * time.Second, Save: 5 * time.Second, Now: time.Now,
		Gates:  worker.NewGates(nil, time.Now),
		Logger: slog.New(slog.DiscardHandler),
	}
}

// logTo makes options that log to a buffer, which is to be read when the pool has ended.
func logTo(buffer *bytes.Buffer) worker.Options {
	opts := options()
	opts.Logger = slog.New(slog.NewTextHandler(buffer, nil))
	return opts
}

// run is a pool at work.
type run struct {
	stop    context.CancelFunc
	stopped time.Time
	ended   chan struct{}
	err     error // read after ended
}

func newPool(work ports.Work, p worker.Processor) *worker.Pool { return worker.New(options(), work, p) }

// start runs a pool until the test stops it. Inside a synctest bubble.
func start(t *testing.T, opts worker.Options, work ports.Work, p worker.Processor) *run {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := &run{ended: make(chan struct{})}
	r.stop = func() {
		r.stopped = time.Now()
		cancel()
	}
	go func() {
		defer close(r.ended)
		r.err = worker.New(opts, work, p).Run(ctx)
	}()
	t.Cleanup(func() { // of a test that failed half-way
		cancel()
		<-r.ended
	})
	synctest.Wait()
	return r
}

// wait blocks until the pool has ended, which must be without an error, and returns how long its shutdown took.
func (r *run) wait(t *testing.T) time.Duration {
	t.Helper()
	<-r.ended
	require.NoError(t, r.err)
	return time.Since(r.stopped)
}

// end stops the pool and waits for it.
func (r *run) end(t *testing.T) time.Duration {
	t.Helper()
	r.stop()
	return r.wait(t)
}
