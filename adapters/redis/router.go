package redis

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/ports/envelope"
)

// RouterOptions say what becomes of messages of other programs.
type RouterOptions struct {
	DefaultEndpoint string        // for those that name none; empty: they are dead letters
	MaxAge          time.Duration // the longest deadline, from submission
	MaxSize         int           // of a message, in bytes
}

// router takes in what other programs write to the plain stream that has the queue's name.
type router struct {
	reader

	opts RouterOptions
}

// Route takes in what other programs XADD to the stream with the queue's name: entries whose field "payload" is a wire
// message. Each becomes a request like any other and leaves the stream when that is durable; one that cannot be read
// becomes a dead letter. It blocks until ctx ends, and about a second more; while Redis is away it goes on trying. Any
// number of processes may do so.
func (db *DB) Route(ctx context.Context, opts RouterOptions) error {
	if !db.enter() {
		return ports.ErrClosed
	}
	defer db.leave()
	if db.opts.Handover {
		return errors.New("messages are for other consumers here: they are not taken in")
	}
	r := &router{reader: newReader(db, db.opts.Queue, blockFor), opts: opts}
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
	var pause backoff
	for len(all.reqs) > 0 && !r.db.ended(ctx) {
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
			r.db.sleep(ctx, pause.next())
		}
	}
	return nil
}

var (
	errNoPayload  = errors.New(`the stream entry has no field "payload"`)
	errNoEndpoint = errors.New("the message names no endpoint, and there is no default one")
	errEndpoint   = errors.New("the message names an endpoint that there cannot be: not 1 to 64 of A-Z a-z 0-9 . _ -")
	errBodyRef    = errors.New("body_ref names nothing that is kept here")
)

// endpointName is what the configuration lets an endpoint be named. Of any other name Redis would keep streams, and
// metrics a label, although no worker can have that endpoint.
var endpointName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// decode reads an entry. With an error its request still has an id and times.
func (r *router) decode(entry *redis.XMessage) (envelope.Message, error) {
	arrived := arrival(entry.ID)
	nameless := domain.Request{
		ID: derivedID(requestPlace, entry.ID), SubmittedAt: arrived, Deadline: arrived.Add(r.opts.MaxAge),
	}
	payload := message(entry)
	if payload == nil {
		return envelope.Message{Request: nameless}, errNoPayload
	}
	m, err := envelope.Decode(payload, arrived, r.opts.MaxSize)
	if err != nil {
		return envelope.Message{Request: nameless}, err
	}
	req := &m.Request
	if req.ID == "" {
		req.ID = nameless.ID
	}
	if req.Endpoint == "" {
		req.Endpoint = r.opts.DefaultEndpoint
	}
	r.boundTimes(req, arrived)
	switch {
	case req.Endpoint != "" && !endpointName.MatchString(req.Endpoint):
		req.Endpoint = ""
		return m, errEndpoint
	case m.BodyRef != "":
		return m, errBodyRef
	case req.Endpoint == "":
		return m, errNoEndpoint
	}
	return m, nil
}

// boundTimes replaces a time of submission that cannot be, and sees to it that there is a deadline within MaxAge.
func (r *router) boundTimes(req *domain.Request, arrived time.Time) {
	var lifetime time.Duration
	if !req.Deadline.IsZero() {
		lifetime = req.Deadline.Sub(req.SubmittedAt)
	}
	if lifetime <= 0 || lifetime > r.opts.MaxAge {
		lifetime = r.opts.MaxAge
	}
	if req.SubmittedAt.After(arrived) || arrived.Sub(req.SubmittedAt) > r.opts.MaxAge {
		req.SubmittedAt = arrived
	}
	req.Deadline = req.SubmittedAt.Add(lifetime)
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
