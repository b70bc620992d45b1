package streams

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/codec"
	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// A shard has an outbox for each kind of notice: a stream of the requests of which other programs are still to get a
// notice. The script that makes a request final, or ready for workers of another broker, writes there in the same step,
// so that nothing is forgotten when a process dies before it sends them. An entry names the request, and how many bytes
// have to be read for its notice.
//
// A ready request stays in the outbox until it is handed over or final. Whether another kind is owed is written in
// Redis by the processes that send it, and does not depend on which process makes a request final. An outbox keeps its
// entries as long as a stream for other programs, and the note that it is owed is kept as long after the last of those
// processes has renewed it. Records and dead letters that are owed are kept as long too; once the notices are sent,
// what is left of their own lifetime counts again.

const outboxCount = 64 // entries that one read returns

// renewEvery is how often it is noted that a kind is owed; Options.Retention is longer by far.
const renewEvery = time.Minute

// noticeKind is how notices of one kind are found.
type noticeKind struct {
	name   string          // in keys, and in the scripts
	news   <-chan struct{} // there may be notices
	noted  bool            // it is owed for as long as processes note that they send it, else always
	fields []string        // of the hash that a notice is made of
	hash   func(s *server.Shard, id domain.ID) string
	decode func(n *ports.Notice, row script.Row) error
}

func (s *Streams) noticeKind(kind ports.NoticeKind) noticeKind {
	switch kind {
	case ports.NoticeDeadLetter:
		return noticeKind{
			name: "letters", news: s.opts.News.Buried, noted: true,
			fields: codec.WholeLetterFields, hash: (*server.Shard).LetterKey, decode: decodeLetterNotice,
		}
	case ports.NoticeHandover:
		return noticeKind{
			name: "requests", news: s.opts.News.Ready,
			fields: codec.HandoverFields, hash: (*server.Shard).RecordKey, decode: decodeHandover,
		}
	default:
		return noticeKind{
			name: "results", news: s.opts.News.Final, noted: true,
			fields: codec.WholeFields, hash: (*server.Shard).RecordKey, decode: decodeResultNotice,
		}
	}
}

// outbox has the notices of one kind, of all shards.
type outbox struct {
	server *server.Server
	kind   noticeKind
	poll   time.Duration

	mu    sync.Mutex // guards what follows
	parts []*outboxPart
	turn  int // the part to begin with
}

// Outbox returns the outbox of a kind. From the first Due on everybody owes results and dead letters; what became final
// before the first one ever, or more than Options.Retention after the last one, has no notice. Handovers are owed when
// Options.HandoverOutbox is set. A process uses one outbox of a kind.
func (s *Streams) Outbox(kind ports.NoticeKind) ports.Outbox {
	o := &outbox{server: s.server, kind: s.noticeKind(kind), poll: s.opts.OutboxPoll}
	for _, shard := range s.server.Shards {
		o.parts = append(o.parts, newOutboxPart(s, shard, o.kind))
	}
	return o
}

// Due returns what one shard owes, and begins with the next shard the next time. A shard that fails is left alone for a
// while, and does not hold up the other shards.
func (o *outbox) Due(ctx context.Context) ([]ports.Notice, error) {
	if !o.server.Enter() {
		return nil, ports.ErrClosed
	}
	defer o.server.Leave()
	o.mu.Lock()
	defer o.mu.Unlock()
	var failure error
	for range o.parts {
		if ctx.Err() != nil { // while Redis hangs each part takes as long as Redis is given to answer
			return nil, server.Unconfirmed(ctx)
		}
		p := o.parts[o.turn]
		o.turn = (o.turn + 1) % len(o.parts)
		notices, err := p.due(ctx)
		if len(notices) > 0 {
			return notices, nil
		}
		if err != nil {
			failure = err
		}
	}
	return nil, failure
}

// Waiting counts the entries of all shards, in one round trip.
func (o *outbox) Waiting(ctx context.Context) (int64, error) {
	if !o.server.Enter() {
		return 0, ports.ErrClosed
	}
	defer o.server.Leave()
	lengths := make([]*redis.IntCmd, len(o.parts))
	pipe := o.server.Client.Pipeline()
	for i, p := range o.parts {
		lengths[i] = pipe.XLen(ctx, p.stream)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, server.Translate(err)
	}
	waiting := int64(0)
	for _, length := range lengths {
		waiting += length.Val()
	}
	return waiting, nil
}

// Wait blocks until there may be something, and lets all parts be read again.
func (o *outbox) Wait(ctx context.Context) {
	timer := time.NewTimer(o.poll)
	defer timer.Stop()
	select {
	case <-o.kind.news:
	case <-timer.C:
	case <-ctx.Done():
	case <-o.server.Context().Done():
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range o.parts {
		p.dry = false
	}
}

// Done removes notices that are sent.
func (o *outbox) Done(ctx context.Context, notices []ports.Notice) error {
	if !o.server.Enter() {
		return ports.ErrClosed
	}
	defer o.server.Leave()
	o.mu.Lock()
	defer o.mu.Unlock()
	var failure error
	for _, p := range o.parts {
		if err := p.done(ctx, notices); err != nil {
			failure = err
		}
	}
	return failure
}

// outboxPart is the outbox of one shard.
type outboxPart struct {
	reader

	kind    noticeKind
	shard   *server.Shard
	debts   []*debt   // that were read, and are not done
	renewed time.Time // when it was last noted that they are owed
	dry     bool      // the last read found less than there may be
	pause   outage.Backoff
	retry   time.Time // when to try again what went wrong
}

func newOutboxPart(s *Streams, shard *server.Shard, k noticeKind) *outboxPart {
	return &outboxPart{reader: newReader(s, shard.Key+":outbox:"+k.name, dontBlock), kind: k, shard: shard}
}

// debt is an entry of an outbox. It is the ticket of its notice.
type debt struct {
	part  *outboxPart
	place string
	id    domain.ID
	bytes int64
	until int64 // the millisecond when what is read would be gone if it were not for the debt; 0: it is not kept for it
}

// due reads what is owed.
func (p *outboxPart) due(ctx context.Context) ([]ports.Notice, error) {
	now := p.opts.Now()
	if now.Before(p.retry) || p.dry && len(p.debts) == 0 {
		return nil, nil
	}
	err := p.fill(ctx)
	if err == nil {
		p.server.Report(ctx, p.renew(ctx)) // tried again the next time: nothing waits for it
	}
	var notices []ports.Notice
	if err == nil && len(p.debts) > 0 {
		notices, err = p.fetch(ctx, portion(p.debts))
	}
	p.server.Report(ctx, err)
	if err != nil {
		p.retry = now.Add(p.pause.Next())
		return nil, err
	}
	p.pause.Reset()
	return notices, nil
}

// fill reads debts, unless there are some.
func (p *outboxPart) fill(ctx context.Context) error {
	if len(p.debts) > 0 {
		return nil
	}
	entries, err := p.next(ctx, outboxCount, server.MaxGroupBytes)
	for i := range entries {
		id, _ := entries[i].Values["id"].(string)
		size, _ := entries[i].Values["bytes"].(string)
		bytes, _ := strconv.ParseInt(size, 10, 64) // our own script wrote it
		until, _ := entries[i].Values["until"].(string)
		millis, _ := strconv.ParseInt(until, 10, 64) // as above; it may be empty
		p.debts = append(p.debts, &debt{p, entries[i].ID, domain.ID(id), bytes, millis})
	}
	p.dry = err == nil && len(entries) < outboxCount
	return err
}

// renew notes that this kind is owed: now and then, and when Redis has come back empty.
func (p *outboxPart) renew(ctx context.Context) error {
	now := p.opts.Now()
	if !p.kind.noted || !p.remade && now.Sub(p.renewed) < renewEvery {
		return nil
	}
	keep := p.opts.Retention
	if err := p.server.Client.Set(ctx, p.shard.Key+":told:"+p.kind.name, keep.Milliseconds(), keep).Err(); err != nil {
		return server.Translate(err)
	}
	p.renewed, p.remade = now, false
	return nil
}

// portion returns as many debts as may be read at once: at least one, and no more bytes than a pipeline may have.
func portion(debts []*debt) []*debt {
	bytes := int64(0)
	for i, d := range debts {
		bytes += d.bytes
		if i > 0 && bytes > server.MaxGroupBytes {
			return debts[:i]
		}
	}
	return debts
}

// fetch reads the notices of debts, in one round trip.
func (p *outboxPart) fetch(ctx context.Context, debts []*debt) ([]ports.Notice, error) {
	values := make([]*redis.SliceCmd, len(debts))
	pipe := p.server.Client.Pipeline()
	for i, d := range debts {
		values[i] = pipe.HMGet(ctx, p.kind.hash(p.shard, d.id), p.kind.fields...)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, server.Translate(err)
	}
	notices := make([]ports.Notice, len(debts))
	for i, d := range debts {
		notices[i] = ports.Notice{ID: d.id, Ticket: d}
		notices[i].Err = p.kind.decode(&notices[i], script.Row{Names: p.kind.fields, Values: values[i].Val()})
	}
	return notices, nil
}

// done removes those of the notices that are of this part. What was kept for them alone is gone when it would have been
// without them.
func (p *outboxPart) done(ctx context.Context, notices []ports.Notice) error {
	paid := make(map[*debt]bool)
	var places []string
	for i := range notices {
		if d, ours := notices[i].Ticket.(*debt); ours && d.part == p {
			paid[d] = true
			places = append(places, d.place)
		}
	}
	if len(places) == 0 {
		return nil
	}
	_, err := p.server.Client.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for d := range paid {
			if d.until > 0 {
				pipe.PExpireAt(ctx, p.kind.hash(p.shard, d.id), time.UnixMilli(d.until))
			}
		}
		p.remove(ctx, pipe, places)
		return nil
	})
	if err = server.Translate(err); err != nil {
		p.server.Report(ctx, err)
		return err
	}
	p.debts = slices.DeleteFunc(p.debts, func(d *debt) bool { return paid[d] })
	return nil
}
