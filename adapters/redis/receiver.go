package redis

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// Inlet returns a receiver of a stream that other programs write: entries whose field "payload" is a message. An entry
// without that field comes without a value. All processes share one consumer group, which begins at the first entry
// there is. An entry that a process has received and not settled is handed to another process after Options.Lease.
// There are no lanes. The receiver ends with the database.
func (db *DB) Inlet(_ context.Context, name string) (ports.Receiver, error) {
	switch {
	case name == "":
		return nil, errNoName
	case db.opts.Handover && name == db.opts.Queue:
		return nil, errors.New("requests are handed over to other programs in this stream: nothing is received from it")
	case !db.enter():
		return nil, ports.ErrClosed
	}
	defer db.leave()
	r := &receiver{
		reader: newReader(db, name, blockFor), reading: make(chan struct{}, 1), wake: make(chan struct{}, 1),
	}
	db.loops.Go(r.remove)
	return r, nil
}

// receiver hands out the entries of a stream that other programs write.
type receiver struct {
	reading chan struct{} // holds an element while somebody reads, who alone uses what follows
	reader  reader
	waiting []redis.XMessage // read and not handed out: there was no room for them

	mu      sync.Mutex    // guards settled
	settled []string      // places of entries to remove
	wake    chan struct{} // there are some
}

// Receive hands out what waits in the stream. When ctx ends while it reads, it returns up to a second late.
func (r *receiver) Receive(ctx context.Context, count int, bytes int64) ([]ports.Received, error) {
	select {
	case r.reading <- struct{}{}:
		defer func() { <-r.reading }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	var pause outage.Backoff
	for len(r.waiting) == 0 {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		err := r.fill(ctx, count, bytes)
		if errors.Is(err, ports.ErrClosed) {
			return nil, err
		}
		r.reader.db.report(ctx, err)
		if err != nil {
			r.reader.db.sleep(ctx, pause.Next())
		}
	}
	return r.handOut(count, bytes), nil
}

// fill reads what there is. What Redis has handed out is kept, also when ctx ends meanwhile.
func (r *receiver) fill(ctx context.Context, count int, bytes int64) (err error) {
	if !r.reader.db.enter() {
		return ports.ErrClosed
	}
	defer r.reader.db.leave()
	r.waiting, err = r.reader.next(context.WithoutCancel(ctx), count, bytes)
	return err
}

// handOut hands out what waits, within count and bytes.
func (r *receiver) handOut(count int, bytes int64) []ports.Received {
	var out []ports.Received
	for _, entry := range r.waiting {
		received := receivedFrom(&entry)
		if bytes -= int64(len(received.Value)); len(out) == count || len(out) > 0 && bytes < 0 {
			break
		}
		out = append(out, received)
	}
	r.waiting = r.waiting[len(out):]
	return out
}

func receivedFrom(entry *redis.XMessage) ports.Received {
	received := ports.Received{Place: entry.ID, Arrived: arrival(entry.ID), Ticket: entry.ID}
	if payload, ok := entry.Values[payloadField].(string); ok {
		received.Value = []byte(payload)
	}
	return received
}

// arrival is when Redis took an entry: its id begins with the millisecond.
func arrival(entry string) time.Time {
	millis, _, _ := strings.Cut(entry, "-")
	n, _ := strconv.ParseInt(millis, 10, 64) // Redis made it
	return time.UnixMilli(n).UTC()
}

// Settle has entries removed.
func (r *receiver) Settle(tickets []ports.Ticket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range tickets {
		if place, ours := t.(string); ours {
			r.settled = append(r.settled, place)
		}
	}
	ring(r.wake)
}

// remove removes settled entries until the database is closed, and those before that for the last time then.
func (r *receiver) remove() {
	db := r.reader.db
	if !db.enter() {
		return
	}
	defer db.leave() // Close waits for what is to be removed
	var pause outage.Backoff
	for over := false; !over; {
		select {
		case <-r.wake:
		case <-db.ctx.Done():
		}
		over = db.ctx.Err() != nil
		for r.removeSettled() != nil && db.ctx.Err() == nil {
			db.sleep(db.ctx, pause.Next())
		}
		pause.Reset()
	}
}

// removeSettled removes the entries that are settled by now.
func (r *receiver) removeSettled() error {
	r.mu.Lock()
	places := slices.Clone(r.settled)
	r.mu.Unlock()
	if len(places) == 0 {
		return nil
	}
	db := r.reader.db
	lasting := context.WithoutCancel(db.ctx)
	ctx, cancel := context.WithTimeout(lasting, replyTimeout)
	defer cancel()
	_, err := db.client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		r.reader.remove(ctx, pipe, places)
		return nil
	})
	if err = translate(err); err != nil {
		db.report(lasting, err)
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled = slices.Delete(r.settled, 0, len(places))
	return nil
}
