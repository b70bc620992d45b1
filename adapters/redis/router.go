package redis

import (
	"context"
	"errors"
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

const (
	payloadField = "payload" // of a stream entry: the message
	routedAtOnce = 64
)

// router takes in what other programs write to the plain stream that has the queue's name.
type router struct {
	db       *DB
	opts     RouterOptions
	stream   string
	consumer string
	claimed  time.Time // when it last looked for what dead processes had read
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
	r := &router{db: db, opts: opts, stream: db.opts.Queue, consumer: consumerName()}
	var pause backoff
	for !r.ended(ctx) {
		err := r.step(ctx)
		db.report(ctx, err)
		if err == nil {
			pause.reset()
			continue
		}
		db.sleep(ctx, pause.next())
	}
	return nil
}

func (r *router) ended(ctx context.Context) bool { return ctx.Err() != nil || r.db.ctx.Err() != nil }

// step takes in what there is; it blocks for about a second when there is nothing.
func (r *router) step(ctx context.Context) error {
	entries, err := r.abandoned(ctx)
	if err == nil && len(entries) == 0 {
		entries, err = r.read(ctx)
	}
	if redis.HasErrorPrefix(err, "NOGROUP") {
		return translate(r.db.client.XGroupCreateMkStream(ctx, r.stream, group, "0").Err())
	}
	if err != nil || len(entries) == 0 {
		return translate(err)
	}
	return r.route(ctx, entries)
}

// abandoned takes over what processes had read that died before they took it in, now and then.
func (r *router) abandoned(ctx context.Context) ([]redis.XMessage, error) {
	now := r.db.opts.Now()
	if now.Sub(r.claimed) < r.db.opts.Lease {
		return nil, nil
	}
	entries, _, err := r.db.client.XAutoClaim(ctx, &redis.XAutoClaimArgs{
		Stream: r.stream, Group: group, Consumer: r.consumer,
		MinIdle: r.db.opts.Lease, Start: "0", Count: routedAtOnce,
	}).Result()
	if err != nil {
		return nil, err
	}
	if len(entries) == 0 {
		r.claimed = now
		// What is not tidied now is tidied the next time.
		_, _ = r.db.runOn(ctx, r.stream, r.db.scripts.tidy, tidyUnseen.Milliseconds())
	}
	return entries, nil
}

func (r *router) read(ctx context.Context) ([]redis.XMessage, error) {
	streams, err := r.db.blocking.XReadGroup(context.WithoutCancel(ctx), &redis.XReadGroupArgs{
		Group: group, Consumer: r.consumer, Streams: []string{r.stream, ">"}, Count: routedAtOnce, Block: blockFor,
	}).Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return streams[0].Messages, nil
}

// route takes entries in and settles those that are. What it has begun does not end with ctx; what is left when ctx
// ends is taken over by another process.
func (r *router) route(ctx context.Context, entries []redis.XMessage) error {
	var reqs []domain.Request
	var places []string // of reqs, in the stream
	for i := range entries {
		req, err := r.request(&entries[i])
		if err == nil {
			reqs, places = append(reqs, req), append(places, entries[i].ID)
			continue
		}
		if err = r.reject(ctx, &req, message(&entries[i]), err); err == nil {
			err = r.settle(ctx, entries[i].ID)
		}
		if err != nil {
			return err
		}
	}
	return r.accept(ctx, reqs, places)
}

// accept takes requests in, again and again if need be.
func (r *router) accept(ctx context.Context, reqs []domain.Request, places []string) error {
	var pause backoff
	for len(reqs) > 0 && !r.ended(ctx) {
		var taken, leftPlaces []string
		var left []domain.Request
		for i, answer := range r.db.Accept(context.WithoutCancel(ctx), reqs) {
			if answer.Err == nil {
				taken = append(taken, places[i])
			} else {
				left, leftPlaces = append(left, reqs[i]), append(leftPlaces, places[i])
			}
		}
		if err := r.settle(ctx, taken...); err != nil {
			return err
		}
		if reqs, places = left, leftPlaces; len(reqs) > 0 {
			r.db.sleep(ctx, pause.next())
		}
	}
	return nil
}

// settle removes entries from the stream.
func (r *router) settle(ctx context.Context, places ...string) error {
	if len(places) == 0 {
		return nil
	}
	ctx = context.WithoutCancel(ctx)
	_, err := r.db.client.TxPipelined(ctx, func(pipe redis.Pipeliner) error {
		pipe.XAck(ctx, r.stream, group, places...)
		pipe.XDel(ctx, r.stream, places...)
		return nil
	})
	return translate(err)
}

func message(entry *redis.XMessage) string {
	payload, _ := entry.Values[payloadField].(string)
	return payload
}

var (
	errNoPayload  = errors.New(`the stream entry has no field "payload"`)
	errNoEndpoint = errors.New("the message names no endpoint, and there is no default one")
	errBodyRef    = errors.New("body_ref names nothing that is kept here")
)

// request reads an entry. With an error the request still has an id and times.
func (r *router) request(entry *redis.XMessage) (domain.Request, error) {
	arrived := arrival(entry.ID)
	nameless := domain.Request{ID: derivedID(entry.ID), SubmittedAt: arrived, Deadline: arrived.Add(r.opts.MaxAge)}
	if entry.Values[payloadField] == nil {
		return nameless, errNoPayload
	}
	m, err := envelope.Decode([]byte(message(entry)), arrived, r.opts.MaxSize)
	if err != nil {
		return nameless, err
	}
	req := m.Request
	if req.ID == "" {
		req.ID = nameless.ID
	}
	if req.Endpoint == "" {
		req.Endpoint = r.opts.DefaultEndpoint
	}
	r.boundTimes(&req, arrived)
	switch {
	case m.BodyRef != "":
		return req, errBodyRef
	case req.Endpoint == "":
		return req, errNoEndpoint
	}
	return req, nil
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

// derivedID names a message that has no id of its own, the same at every delivery.
func derivedID(entry string) domain.ID { return domain.ID("stream-" + entry) }

// reject makes a dead letter of a message that cannot be taken in.
func (r *router) reject(ctx context.Context, req *domain.Request, message string, cause error) error {
	id := req.ID
	o := newOp(r.db.shardOf(string(id)), r.db.scripts.reject, len(message),
		string(id), encodeFacts(req), message, cause.Error(),
		r.db.opts.TTL.Milliseconds(), r.db.opts.DeadLetterTTL.Milliseconds())
	answer, err := r.db.outcomes.one(context.WithoutCancel(ctx), o)
	if err != nil {
		return err
	}
	r.db.opts.Logger.Error("message cannot be taken in", "correlation_id", id, "error", cause)
	if st, found, err := decodeState(id, list(answer, 1)); err == nil && found {
		r.db.tellEnded(&st)
	}
	return nil
}
