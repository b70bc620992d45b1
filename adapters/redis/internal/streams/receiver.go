package streams

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// Inlet returns a receiver of a stream that other programs write: entries whose field "payload" is a message. An entry
// without that field comes without a value. All processes share one consumer group, which begins at the first entry
// there is. An entry that a process has received and not settled is handed to another process after Options.Lease.
// There are no lanes. The receiver ends with the database.
func (s *Streams) Inlet(_ context.Context, name string) (ports.Receiver, error) {
	switch {
	case name == "":
		return nil, errNoName
	case s.opts.Handover && name == s.opts.Queue:
		return nil, errors.New("requests are handed over to other programs in this stream: nothing is received from it")
	case !s.server.Enter():
		return nil, ports.ErrClosed
	}
	defer s.server.Leave()
	r := &receiver{
		reader: newReader(s, name, server.BlockFor), reading: make(chan struct{}, 1), wake: make(chan struct{}, 1),
	}
	s.server.Go(r.remove)
	return r, nil
}

// receiver hands out the entries of a stream that other programs write.
type receiver struct {
	reading chan struct{} // holds an element while somebody reads, who alone uses what follows
	reader  reader
	waiting []ports.Received // read and not handed out: there was no room for them

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
	srv := r.reader.server
	var pause outage.Backoff
	for len(r.waiting) == 0 && ctx.Err() == nil && srv.Context().Err() == nil {
		err := r.fill(ctx, count, bytes)
		srv.Report(ctx, err)
		if err != nil {
			srv.Sleep(ctx, pause.Next())
		}
	}
	switch {
	case srv.Context().Err() != nil:
		return nil, ports.ErrClosed
	case len(r.waiting) > 0:
		return r.handOut(count, bytes), nil
	default:
		return nil, context.Cause(ctx)
	}
}

// fill reads what there is. What Redis has handed out is kept, also when ctx ends meanwhile.
func (r *receiver) fill(ctx context.Context, count int, bytes int64) (err error) {
	if !r.reader.server.Enter() {
		return ports.ErrClosed
	}
	defer r.reader.server.Leave()
	ctx = context.WithoutCancel(ctx)
	entries, err := r.reader.next(ctx, count, bytes)
	r.waiting = nil
	for i := range entries {
		r.waiting = append(r.waiting, r.received(ctx, &entries[i]))
	}
	return err
}

// handOut hands out what waits, within count and bytes.
func (r *receiver) handOut(count int, bytes int64) []ports.Received {
	var out []ports.Received
	for _, received := range r.waiting {
		if bytes -= sizeOf(&received); len(out) == count || len(out) > 0 && bytes < 0 {
			break
		}
		out = append(out, received)
	}
	r.waiting = r.waiting[len(out):]
	return out
}

func sizeOf(received *ports.Received) int64 {
	original := domain.Original{Value: received.Value, Fields: received.Fields}
	return original.Size()
}

// entry is the ticket of an entry that was handed out.
type entry struct {
	receiver *receiver
	place    string
}

func (r *receiver) received(ctx context.Context, read *redis.XMessage) ports.Received {
	clock := &r.reader.server.Shards[0].Clock
	now := r.reader.opts.Now()
	received := ports.Received{
		Place: read.ID, Arrived: clock.Ours(arrival(read.ID, clock.Theirs(now))), Ticket: entry{r, read.ID},
	}
	if payload, ok := read.Values[payloadField].(string); ok {
		received.Value = []byte(payload)
	} else {
		received.Fields = r.reader.fields(ctx, read)
	}
	return received
}

// streamsMade is when Redis 5.0 was published, the first one with streams. No entry can be older.
var streamsMade = time.Date(2018, time.October, 1, 0, 0, 0, 0, time.UTC)

// arrival returns when an entry was added, by the clock of Redis: its id begins with the millisecond, unless its
// producer chose the id. A time in the future, or from before streams existed, counts as now: a deadline counted from
// it would never come, or would have passed already. After one id in the far future, Redis derives all later ids from
// it, so they are just as wrong.
func arrival(place string, now time.Time) time.Time {
	millis, _, _ := strings.Cut(place, "-")
	n, err := strconv.ParseInt(millis, 10, 64) // an id may have 64 bits without a sign
	at := time.UnixMilli(n)
	if err != nil || at.After(now) || at.Before(streamsMade) {
		at = now
	}
	return at.UTC().Truncate(time.Millisecond)
}

// Settle has entries removed.
func (r *receiver) Settle(tickets []ports.Ticket) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range tickets {
		if e, ours := t.(entry); ours && e.receiver == r {
			r.settled = append(r.settled, e.place)
		}
	}
	r.signal()
}

// signal wakes remove.
func (r *receiver) signal() {
	select {
	case r.wake <- struct{}{}:
	default: // it has not looked yet since the last time
	}
}

// remove removes settled entries until the database is closed, and then what was settled before. When that fails
// another process gets them after a lease.
func (r *receiver) remove() {
	srv := r.reader.server
	if !srv.Enter() {
		return
	}
	defer srv.Leave() // Close waits for what is to be removed
	var pause outage.Backoff
	for over := false; !over; {
		select {
		case <-r.wake:
		case <-srv.Context().Done():
		}
		over = srv.Context().Err() != nil
		err := r.removeSettled()
		for err != nil && srv.Context().Err() == nil {
			srv.Sleep(srv.Context(), pause.Next())
			err = r.removeSettled()
		}
		over = over || err != nil // Close has begun, and does not wait once more for a Redis that is away
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
	srv := r.reader.server
	lasting := context.WithoutCancel(srv.Context())
	ctx, cancel := context.WithTimeout(lasting, server.ReplyTimeout)
	defer cancel()
	_, err := srv.Client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		r.reader.remove(ctx, pipe, places)
		return nil
	})
	if err = server.Translate(err); err != nil {
		srv.Report(lasting, err)
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.settled = slices.Delete(r.settled, 0, len(places))
	return nil
}
