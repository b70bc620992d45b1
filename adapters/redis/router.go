package redis

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// router takes in what other programs write to the plain stream that has the queue's name.
type router struct {
	reader

	messages envelope.Reader
}

// Route takes in what other programs XADD to the stream with the queue's name: entries whose field "payload" is a wire
// message. Each becomes a request like any other and leaves the stream when that is durable; one that cannot be read
// becomes a dead letter. It blocks until ctx ends, and about a second more; while Redis is away it goes on trying. Any
// number of processes may do so.
func (db *DB) Route(ctx context.Context, messages envelope.Reader) error {
	if !db.enter() {
		return ports.ErrClosed
	}
	defer db.leave()
	if db.opts.Handover {
		return errors.New("messages are for other consumers here: they are not taken in")
	}
	r := &router{reader: newReader(db, db.opts.Queue, blockFor), messages: messages}
	r.run(ctx, r.route)
	return nil
}

// route takes entries in and settles those that are. What it has begun does not end with ctx; what is left when ctx
// ends is taken over by another process.
func (r *router) route(ctx context.Context, entries []redis.XMessage) error {
	var all arrivals
	for i := range entries {
		m, err := r.decode(&entries[i])
		if err == nil {
			all.add(m.Request, m.RetryCount, entries[i].ID)
			continue
		}
		if err = r.reject(ctx, &entries[i], &m.Request, err); err != nil {
			return err
		}
	}
	return r.accept(ctx, all)
}

// arrivals are requests on their way in.
type arrivals struct {
	reqs     []domain.Request
	attempts []int    // that others have charged
	places   []string // in the stream
}

func (a *arrivals) add(req domain.Request, attempts int, place string) {
	a.reqs, a.attempts = append(a.reqs, req), append(a.attempts, attempts)
	a.places = append(a.places, place)
}

// accept takes requests in, again and again if need be.
func (r *router) accept(ctx context.Context, all arrivals) error {
	var pause outage.Backoff
	for len(all.reqs) > 0 && !r.db.over(ctx) {
		var taken []string
		var left arrivals
		for i, answer := range r.db.accept(context.WithoutCancel(ctx), all.reqs, all.attempts) {
			if answer.Err == nil {
				taken = append(taken, all.places[i])
			} else {
				left.add(all.reqs[i], all.attempts[i], all.places[i])
			}
		}
		if err := r.settle(context.WithoutCancel(ctx), taken...); err != nil {
			return err
		}
		if all = left; len(all.reqs) > 0 {
			r.db.sleep(ctx, pause.Next())
		}
	}
	return nil
}

var errNoPayload = errors.New(`the stream entry has no field "payload"`)

// decode reads an entry. With an error its request still has an id and times.
func (r *router) decode(entry *redis.XMessage) (envelope.Message, error) {
	arrived, nameless := arrival(entry.ID), derivedID(requestPlace, entry.ID)
	payload := message(entry)
	if payload == nil {
		return envelope.Message{Request: domain.Request{
			ID: nameless, SubmittedAt: arrived, Deadline: arrived.Add(r.messages.MaxAge),
		}}, errNoPayload
	}
	return r.messages.Read(payload, arrived, nameless)
}

// arrival is when Redis took an entry: its id begins with the millisecond.
func arrival(entry string) time.Time {
	millis, _, _ := strings.Cut(entry, "-")
	n, _ := strconv.ParseInt(millis, 10, 64) // Redis made it
	return time.UnixMilli(n).UTC()
}

// What ids begin with that are derived from places, by stream: two streams may have an entry of the same name.
const (
	requestPlace = "stream-"
	resultPlace  = "result-"
)

// derivedID names a message that has no id of its own, the same at every delivery.
func derivedID(prefix, entry string) domain.ID { return domain.ID(prefix + entry) }
