package embedded

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// receiver is a waiting Receive.
type receiver struct {
	consumer *Consumer
	credit   ports.Credit
	leases   []*lease
	err      error
	done     chan struct{} // closed when leases or err is set
}

// Consumer hands out the work of a database. It implements ports.Work and is safe for concurrent use.
type Consumer struct {
	db      *DB
	held    map[domain.ID]struct{} // owned by the committer
	expires int64                  // owned by the committer: when its leases end, in milliseconds since 1970
}

var _ ports.Work = (*Consumer)(nil)

// alive is the value of Consumer.expires while the consumer lives.
const alive = math.MaxInt64

// NewConsumer returns a consumer that lives until ctx ends. After that it receives nothing more, its leases run out,
// and its deliveries are handed to other consumers. Leases of a living consumer are not extended, because they cannot
// be lost: consumer and database are one process. So a disk that stalls takes no delivery away from a worker. Wait
// blocks until the goroutine that watches ctx has ended; that also ends with the database.
func (db *DB) NewConsumer(ctx context.Context) (c *Consumer, wait func()) {
	c = &Consumer{db: db, held: make(map[domain.ID]struct{}), expires: alive}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		c.watch(ctx)
	}()
	return c, func() { <-stopped }
}

// watch waits for the end of ctx, and then lets the leases run out.
func (c *Consumer) watch(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-c.db.done:
		return
	}
	// The only possible error is that the database has ended, and all leases with it.
	_ = c.db.do(context.WithoutCancel(ctx), 0, func(tx *txn) error {
		c.expires = tx.now.Add(c.db.opts.Lease).UnixMilli()
		c.db.gone[c] = struct{}{}
		c.db.endReceivers(func(r *receiver) bool { return r.consumer == c })
		return nil
	})
}

// Receive implements ports.Work.
func (c *Consumer) Receive(ctx context.Context, credit ports.Credit) ([]ports.Delivery, error) {
	for {
		deliveries, err := c.receive(ctx, credit)
		if err != nil || len(deliveries) > 0 {
			return deliveries, err
		}
		// No begun request could be read, and all were finished: nothing to hand out yet.
	}
}

func (c *Consumer) receive(ctx context.Context, credit ports.Credit) ([]ports.Delivery, error) {
	r := &receiver{consumer: c, credit: credit, done: make(chan struct{})}
	if err := c.db.send(ctx, newOp(func(*txn) error {
		if c.expires != alive {
			r.end(ports.ErrClosed)
			return nil
		}
		c.db.receivers = append(c.db.receivers, r)
		return nil
	})); err != nil {
		return nil, err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		c.withdraw(ctx, r)
	case <-c.db.done:
	}
	select {
	case <-r.done:
		return c.deliveries(r)
	default:
		return nil, c.db.endedErr()
	}
}

// end ends a receiver that gets nothing.
func (r *receiver) end(err error) {
	r.err = err
	close(r.done)
}

// withdraw removes a receiver, unless it has just been served, and blocks until one of the two is certain.
func (c *Consumer) withdraw(ctx context.Context, r *receiver) {
	cause := context.Cause(ctx)
	o := newOp(func(*txn) error {
		if i := slices.Index(c.db.receivers, r); i >= 0 {
			c.db.receivers = slices.Delete(c.db.receivers, i, i+1)
			r.end(cause)
		}
		return nil
	})
	// Not ctx, which has ended: the committer always answers or ends.
	if err := c.db.send(context.WithoutCancel(ctx), o); err != nil {
		<-c.db.done
		return
	}
	select {
	case <-r.done:
	case <-c.db.done:
	}
}

// deliveries reads the begun requests. It finishes those that cannot be read.
func (c *Consumer) deliveries(r *receiver) ([]ports.Delivery, error) {
	if r.err != nil {
		return nil, r.err
	}
	out := make([]ports.Delivery, 0, len(r.leases))
	for _, l := range r.leases {
		req, err := c.db.readRequest(&l.record)
		switch {
		case errors.Is(err, ports.ErrClosed):
			return nil, err
		case err != nil:
			c.finishUnreadable(l, err)
		default:
			out = append(out, ports.Delivery{
				Request: req, Attempts: l.record.Attempts, Answered: l.answered,
				Deliveries: l.record.Deliveries, Token: l.token, Lease: l.held,
			})
		}
	}
	return out, nil
}

// unreadablePause is how long a request waits that the disk could not read.
const unreadablePause = 10 * time.Second

// finishUnreadable finishes a delivery whose request could not be read. A request that is damaged or missing becomes a
// dead letter, because another try cannot help. Otherwise it waits, uncharged, until the disk may read it.
func (c *Consumer) finishUnreadable(l *lease, cause error) {
	now := c.db.opts.Now()
	out := domain.Outcome{
		Status: domain.Pending, NextAttemptAt: now.Add(unreadablePause), Attempts: l.record.Attempts, At: now,
	}
	if errors.Is(cause, errCorrupt) || errors.Is(cause, pebble.ErrNotFound) || pebble.IsCorruptionError(cause) {
		out = domain.Outcome{
			Status: domain.Failed, Attempts: l.record.Attempts, At: now,
			Reason: domain.ReasonUndecodable, Error: "the stored request is damaged",
		}
	}
	// Without a deadline: the committer always answers or ends.
	err := c.Finish(context.Background(), []ports.Finish{{ID: l.record.ID, Token: l.token, Outcome: out}})[0]
	c.db.opts.Logger.Error("stored request cannot be read; no call was made (check the disk)",
		"correlation_id", l.record.ID, "error", cause, "status", out.Status, "finish_error", err)
}

func (db *DB) readRequest(rec *domain.Record) (domain.Request, error) {
	if !db.enter() {
		return domain.Request{}, ports.ErrClosed
	}
	defer db.leave()
	value, closer, err := db.kv.Get(idKey(prefixRequest, rec.ID))
	if err != nil {
		return domain.Request{}, fmt.Errorf("read request: %w", err)
	}
	req, err := decodeRequest(rec, value)
	if closeErr := closer.Close(); err == nil {
		err = closeErr
	}
	return req, err
}

// Finish implements ports.Work. It goes group by group, so that only one group's responses are in memory twice: once
// more in the batch.
func (c *Consumer) Finish(ctx context.Context, finishes []ports.Finish) []error {
	errs := make([]error, 0, len(finishes))
	for from, to := range groups(len(finishes), func(i int) int { return finishBytes(&finishes[i]) }) {
		errs = append(errs, c.finishGroup(ctx, slices.Clone(finishes[from:to]))...)
	}
	return errs
}

// finishBytes returns the approximate size of an outcome in a batch.
func finishBytes(f *ports.Finish) int {
	if f.Outcome.Response == nil {
		return rowBytes
	}
	return len(f.Outcome.Response.Body) + rowBytes
}

func (c *Consumer) finishGroup(ctx context.Context, finishes []ports.Finish) []error {
	errs := make([]error, len(finishes))
	responses := make([]encoded, len(finishes))
	bytes := 0
	for i := range finishes {
		if response := finishes[i].Outcome.Response; response != nil {
			responses[i] = encodeResponse(response)
		}
		bytes += responses[i].size() + rowBytes
	}
	err := c.db.do(ctx, bytes, func(tx *txn) error {
		for i := range finishes {
			errs[i] = tx.finish(&finishes[i], responses[i])
		}
		return nil
	})
	if err == nil {
		return errs
	}
	// Not errs: the committer may still write into it.
	return slices.Repeat([]error{err}, len(finishes))
}

func (tx *txn) finish(f *ports.Finish, response encoded) error {
	l := tx.db.leases[f.ID]
	if l == nil || l.token != f.Token {
		return ports.ErrLost
	}
	r, out := l.row, &f.Outcome
	if !r.Status.CanBecome(out.Status) {
		return fmt.Errorf("cannot finish a request that is %s as %q: %w", r.Status, out.Status, ports.ErrConflict)
	}
	tx.db.forget(l)
	l.queue.finish()
	tx.queues[l.queue] = struct{}{}
	tx.delete(readyKey(l.queue.id, l.entry.seq))
	r.Status, r.Attempts, r.Deliveries, r.UpdatedAt = out.Status, out.Attempts, out.Deliveries, out.At
	if out.Response != nil {
		tx.setEncoded(idKey(prefixResponse, r.ID), response)
		r.answered, r.statusCode, r.ResponseSize = true, out.Response.StatusCode, out.Response.Size()
	}
	if r.Status.Final() {
		tx.end(r, *out)
		return nil
	}
	tx.enqueue(r, out.NextAttemptAt)
	tx.save(r)
	return nil
}
