package embedded

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// lease is a delivery that is handed out. It lives in memory: when the process dies, all its deliveries are free.
type lease struct {
	row      *row
	queue    *queue
	entry    entry
	consumer *Consumer

	held context.Context // ends when the lease is lost
	lose context.CancelCauseFunc
}

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

// NewConsumer makes a consumer and keeps its leases until ctx ends: after that they run out, and what it held is
// handed to others. The returned function waits for the goroutine that does so.
func (db *DB) NewConsumer(ctx context.Context) (c *Consumer, wait func()) {
	c = &Consumer{db: db, held: make(map[domain.ID]struct{}), expires: math.MaxInt64}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		c.keep(ctx)
	}()
	return c, func() { <-stopped }
}

// keep extends the leases three times in their length.
func (c *Consumer) keep(ctx context.Context) {
	ticker := time.NewTicker(max(c.db.opts.Lease/3, time.Millisecond))
	defer ticker.Stop()
	for {
		err := c.db.do(ctx, 0, func(tx *txn) error {
			c.expires = tx.now.Add(c.db.opts.Lease).UnixMilli()
			c.db.consumers[c] = struct{}{}
			return nil
		})
		if err != nil {
			return // ctx ended or the database did
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// Receive hands out what is ready.
func (c *Consumer) Receive(ctx context.Context, credit ports.Credit) ([]ports.Delivery, error) {
	r := &receiver{consumer: c, credit: credit, done: make(chan struct{})}
	if err := c.db.send(ctx, newOp(func(*txn) error {
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

// withdraw takes a receiver back, unless it has just been served, and waits until that is certain.
func (c *Consumer) withdraw(ctx context.Context, r *receiver) {
	cause := context.Cause(ctx)
	o := newOp(func(*txn) error {
		if i := slices.Index(c.db.receivers, r); i >= 0 {
			c.db.receivers = slices.Delete(c.db.receivers, i, i+1)
			r.err = cause
			close(r.done)
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
		req, err := c.db.readRequest(&l.row.Record)
		if err != nil {
			c.reject(l, err)
			continue
		}
		out = append(out, ports.Delivery{
			Request: req, Attempts: l.row.Attempts, Answered: l.row.answered,
			Deliveries: l.row.Deliveries, Token: formatToken(l.row.token), Lease: l.held,
		})
	}
	return out, nil
}

func (c *Consumer) reject(l *lease, cause error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.db.opts.Lease)
	defer cancel()
	now := c.db.opts.Now()
	err := c.Finish(ctx, []ports.Finish{{
		ID: l.row.ID, Token: formatToken(l.row.token),
		Outcome: domain.Outcome{
			Status: domain.Failed, Reason: domain.ReasonUndecodable, Error: cause.Error(), At: now,
		},
	}})[0]
	c.db.opts.Logger.Error("request cannot be read", "correlation_id", l.row.ID, "error", cause, "finish", err)
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

// Finish saves the outcomes and settles the deliveries.
func (c *Consumer) Finish(ctx context.Context, finishes []ports.Finish) []error {
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
	if err != nil {
		errs = make([]error, len(finishes))
		for i := range errs {
			errs[i] = err
		}
	}
	return errs
}

func (tx *txn) finish(f *ports.Finish, response []byte) error {
	l := tx.db.leases[f.ID]
	if l == nil || formatToken(l.row.token) != f.Token {
		return ports.ErrLost
	}
	r, out := l.row, &f.Outcome
	tx.db.forget(l)
	l.queue.settle()
	tx.queues[l.queue] = struct{}{}
	tx.delete(readyKey(l.queue.id, l.entry.seq))
	r.Status, r.Attempts, r.Deliveries, r.UpdatedAt = out.Status, out.Attempts, 0, out.At
	if response != nil {
		tx.set(idKey(prefixResponse, r.ID), response)
		r.answered = true
	}
	if r.Status.Final() {
		tx.end(r, *out)
		return nil
	}
	tx.enqueue(r, out.NextAttemptAt)
	tx.save(r)
	return nil
}

// serve begins what the waiting receivers can get, the longest waiting first.
func (db *DB) serve(tx *txn) (served []*receiver, err error) {
	waiting := db.receivers[:0]
	for _, r := range db.receivers {
		for _, e := range db.scheduler.take(r.credit) {
			l, err := tx.start(r.consumer, e)
			if err != nil {
				return nil, err
			}
			r.leases = append(r.leases, l)
		}
		if len(r.leases) == 0 {
			waiting = append(waiting, r)
			continue
		}
		served = append(served, r)
	}
	clear(db.receivers[len(waiting):])
	db.receivers = waiting
	return served, nil
}

// start begins one entry: its record becomes PROCESSING under a new token, and the delivery is counted.
func (tx *txn) start(c *Consumer, e entry) (*lease, error) {
	r, err := tx.row(e.id)
	if err != nil {
		return nil, err
	}
	if r == nil || r.Status.Final() || r.place != (place{seq: e.seq}) {
		return nil, fmt.Errorf("queued request %s has no record that says so: %w", e.id, errCorrupt)
	}
	r.Status, r.UpdatedAt, r.NextAttemptAt = domain.Processing, tx.now, time.Time{}
	r.Deliveries++
	r.token = tx.next()
	tx.save(r)
	l := &lease{row: r, queue: tx.db.scheduler.queue(e.queue), entry: e, consumer: c}
	l.held, l.lose = context.WithCancelCause(context.Background())
	tx.db.leases[e.id] = l
	c.held[e.id] = struct{}{}
	return l, nil
}

// forget ends a lease.
func (db *DB) forget(l *lease) {
	delete(db.leases, l.row.ID)
	delete(l.consumer.held, l.row.ID)
}

// reclaim takes back what consumers held that are gone.
func (db *DB) reclaim(tx *txn) error {
	now := tx.now.UnixMilli()
	for c := range db.consumers {
		if c.expires > now {
			continue
		}
		delete(db.consumers, c)
		for id := range c.held {
			l := db.leases[id]
			db.forget(l)
			l.queue.giveBack(l.entry)
			l.lose(ports.ErrLost)
			l.row.Status, l.row.UpdatedAt = domain.Pending, tx.now
			tx.save(l.row)
		}
	}
	return nil
}

// canServeMore reports whether a receiver waits for entries that are on disk and not yet in memory.
func (db *DB) canServeMore() bool {
	if len(db.receivers) == 0 {
		return false
	}
	for _, q := range db.scheduler.queues {
		if len(q.window) == 0 && q.waiting() > 0 {
			return true
		}
	}
	return false
}

// dismissReceivers answers those that still wait when the committer ends.
func (db *DB) dismissReceivers() {
	for _, r := range db.receivers {
		r.err = ports.ErrClosed
		close(r.done)
	}
	db.receivers = nil
}

func formatToken(token uint64) string { return strconv.FormatUint(token, 36) }
