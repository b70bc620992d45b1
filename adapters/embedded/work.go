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

// receiver is a Receive that waits.
type receiver struct {
	consumer *Consumer
	credit   ports.Credit
	leases   []*lease
	err      error
	done     chan struct{} // closed when leases or err is set
}

// Consumer hands out work of a database. It implements ports.Work.
type Consumer struct {
	db      *DB
	held    map[domain.ID]struct{} // owned by the committer
	expires int64                  // owned by the committer: when its leases end, in milliseconds since 1970
}

var _ ports.Work = (*Consumer)(nil)

// alive is the end of the leases of a consumer whose context has not ended.
const alive = math.MaxInt64

// NewConsumer makes a consumer that lives until ctx ends. Then it gets nothing more, its leases run out, and what it
// held is handed to others. While it lives its leases need no extending: consumer and database are one process, and so
// a disk that stalls takes nothing away from a worker. The returned function waits for the goroutine that watches ctx,
// which also ends with the database.
func (db *DB) NewConsumer(ctx context.Context) (c *Consumer, wait func()) {
	c = &Consumer{db: db, held: make(map[domain.ID]struct{}), expires: alive}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		c.watch(ctx)
	}()
	return c, func() { <-stopped }
}

// watch lets the leases run out when ctx has ended.
func (c *Consumer) watch(ctx context.Context) {
	select {
	case <-ctx.Done():
	case <-c.db.done:
		return
	}
	// The only error is that the database has ended, and all leases with it.
	_ = c.db.do(context.WithoutCancel(ctx), 0, func(tx *txn) error {
		c.expires = tx.now.Add(c.db.opts.Lease).UnixMilli()
		c.db.gone[c] = struct{}{}
		c.db.dismissReceivers(func(r *receiver) bool { return r.consumer == c })
		return nil
	})
}

// Receive hands out what is ready.
func (c *Consumer) Receive(ctx context.Context, credit ports.Credit) ([]ports.Delivery, error) {
	for {
		deliveries, err := c.receive(ctx, credit)
		if err != nil || len(deliveries) > 0 {
			return deliveries, err
		}
		// What was begun could not be read and is settled: nothing to hand out yet.
	}
}

func (c *Consumer) receive(ctx context.Context, credit ports.Credit) ([]ports.Delivery, error) {
	r := &receiver{consumer: c, credit: credit, done: make(chan struct{})}
	if err := c.db.send(ctx, newOp(func(*txn) error {
		if c.expires != alive {
			r.dismiss(ports.ErrClosed)
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
		return nil, c.db.ended()
	}
}

// dismiss answers a receiver that gets nothing.
func (r *receiver) dismiss(err error) {
	r.err = err
	close(r.done)
}

// withdraw takes a receiver back, unless it has just been served, and waits until that is certain.
func (c *Consumer) withdraw(ctx context.Context, r *receiver) {
	cause := context.Cause(ctx)
	o := newOp(func(*txn) error {
		if i := slices.Index(c.db.receivers, r); i >= 0 {
			c.db.receivers = slices.Delete(c.db.receivers, i, i+1)
			r.dismiss(cause)
		}
		return nil
	})
	// Not ctx, which has ended: the committer always answers, or ends.
	if err := c.db.send(context.WithoutCancel(ctx), o); err != nil {
		<-c.db.done
		return
	}
	select {
	case <-r.done:
	case <-c.db.done:
	}
}

// deliveries reads the requests that were begun. One that cannot be read is a dead letter at once.
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
			c.putBack(l, err)
		default:
			out = append(out, ports.Delivery{
				Request: req, Attempts: l.record.Attempts, Answered: l.answered,
				Deliveries: l.record.Deliveries, Token: l.token, Lease: l.held,
			})
		}
	}
	return out, nil
}

// unreadablePause is how long a request stays away that the disk could not read.
const unreadablePause = 10 * time.Second

// putBack settles a delivery whose request could not be read: a dead letter when it is damaged or gone, which no other
// try can mend, and otherwise it waits, uncharged, for a better moment of the disk.
func (c *Consumer) putBack(l *lease, cause error) {
	now := c.db.opts.Now()
	out := domain.Outcome{
		Status: domain.Pending, NextAttemptAt: now.Add(unreadablePause), Attempts: l.record.Attempts, At: now,
	}
	if errors.Is(cause, errCorrupt) || errors.Is(cause, pebble.ErrNotFound) {
		out = domain.Outcome{
			Status: domain.Failed, Attempts: l.record.Attempts, At: now,
			Reason: domain.ReasonUndecodable, Error: "the stored request is damaged",
		}
	}
	// Without a deadline: the committer always answers, or ends.
	err := c.Finish(context.Background(), []ports.Finish{{ID: l.record.ID, Token: l.token, Outcome: out}})[0]
	c.db.opts.Logger.Error("request cannot be read",
		"correlation_id", l.record.ID, "error", cause, "status", out.Status, "finish", err)
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

// Finish saves the outcomes and settles the deliveries, group by group: only one group's responses are there twice.
func (c *Consumer) Finish(ctx context.Context, finishes []ports.Finish) []error {
	errs := make([]error, 0, len(finishes))
	for from, to := range groups(len(finishes), func(i int) int { return finishBytes(&finishes[i]) }) {
		errs = append(errs, c.finishGroup(ctx, slices.Clone(finishes[from:to]))...)
	}
	return errs
}

// finishBytes is about what an outcome adds to a batch.
func finishBytes(f *ports.Finish) int {
	if f.Outcome.Response == nil {
		return rowBytes
	}
	return len(f.Outcome.Response.Body) + rowBytes
}

func (c *Consumer) finishGroup(ctx context.Context, finishes []ports.Finish) []error {
	errs := make([]error, len(finishes))
	responses := make([][]byte, len(finishes))
	bytes := 0
	for i := range finishes {
		if response := finishes[i].Outcome.Response; response != nil {
			responses[i] = encodeResponse(response)
		}
		bytes += len(responses[i]) + rowBytes
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
	// Not in errs: the committer may still come to write there.
	return slices.Repeat([]error{err}, len(finishes))
}

func (tx *txn) finish(f *ports.Finish, response []byte) error {
	l := tx.db.leases[f.ID]
	if l == nil || l.token != f.Token {
		return ports.ErrLost
	}
	r, out := l.row, &f.Outcome
	if !r.Status.CanBecome(out.Status) {
		return fmt.Errorf("finish a request that is %s as %q: %w", r.Status, out.Status, ports.ErrConflict)
	}
	tx.db.forget(l)
	l.queue.settle()
	tx.queues[l.queue] = struct{}{}
	tx.delete(readyKey(l.queue.id, l.entry.seq))
	r.Status, r.Attempts, r.Deliveries, r.UpdatedAt = out.Status, out.Attempts, 0, out.At
	if response != nil {
		tx.set(idKey(prefixResponse, r.ID), response)
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
