package redis

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/openhqm/openhqm/adapters/redis/internal/codec"
	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/adapters/redis/internal/server"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

const (
	exportedAtOnce = 64   // requests that are read and visited together
	scannedAtOnce  = 1000 // keys that one SCAN looks at
)

// Export visits the ready requests in their order, and then finds everything else by its keys: final records are in no
// index. Idempotency keys come first, because a record is in the shard of its key.
func (m *Moves) Export(ctx context.Context, visit func([]ports.Stored) error) error {
	if !m.server.Enter() {
		return ports.ErrClosed
	}
	defer m.server.Leave()
	x := &exporting{Moves: m, visit: visit}
	if err := x.ready(ctx); err != nil {
		return err
	}
	for _, kind := range []string{":k:", ":r:", ":d:"} {
		if err := x.scan(ctx, kind); err != nil {
			return err
		}
	}
	return nil
}

// exporting is one Export.
type exporting struct {
	*Moves

	visit func([]ports.Stored) error
}

// outgoing names what is to be read, and the idempotency key that may lead to it.
type outgoing struct {
	id      string
	keyName string // empty: the record says
}

// ready visits what was handed back, and then what waits in the streams of endpoints.
func (x *exporting) ready(ctx context.Context) error {
	for _, s := range x.server.Shards {
		ids, err := x.server.Client.ZRange(ctx, s.Key+":returned", 0, -1).Result()
		if err != nil {
			return server.Translate(err)
		}
		for some := range slices.Chunk(ids, exportedAtOnce) {
			returned := make([]outgoing, len(some))
			for i, id := range some {
				returned[i].id = id
			}
			if err := x.readAndVisit(ctx, s, returned); err != nil {
				return err
			}
		}
		endpoints, err := x.server.Client.SMembers(ctx, s.EndpointsKey()).Result()
		if err != nil {
			return server.Translate(err)
		}
		slices.Sort(endpoints)
		for _, lane := range []string{codec.HighLane, codec.LowLane} {
			for _, endpoint := range endpoints {
				if err := x.stream(ctx, s, s.StreamKey(lane+endpoint)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (x *exporting) stream(ctx context.Context, s *server.Shard, stream string) error {
	for after := "-"; ; {
		entries, err := x.server.Client.XRangeN(ctx, stream, after, "+", exportedAtOnce).Result()
		if err != nil {
			return server.Translate(err)
		}
		if len(entries) == 0 {
			return nil
		}
		after = "(" + entries[len(entries)-1].ID
		some := make([]outgoing, len(entries))
		for i := range entries {
			some[i].id, _ = entries[i].Values["id"].(string)
		}
		if err := x.readAndVisit(ctx, s, some); err != nil {
			return err
		}
	}
}

// scan visits what the keys of one kind lead to.
func (x *exporting) scan(ctx context.Context, kind string) error {
	return x.eachNode(ctx, func(node redis.Cmdable) error {
		for cursor := uint64(0); ; {
			keys, next, err := node.Scan(ctx, cursor, globOf("{"+x.opts.Queue)+"*}"+kind+"*", scannedAtOnce).Result()
			if err != nil {
				return server.Translate(err)
			}
			if err := x.keys(ctx, kind, keys); err != nil {
				return err
			}
			if cursor = next; cursor == 0 {
				return nil
			}
		}
	})
}

// eachNode calls f with each node that has keys, one after the other.
func (x *exporting) eachNode(ctx context.Context, f func(redis.Cmdable) error) error {
	cluster, ok := x.server.Client.(*redis.ClusterClient)
	if !ok {
		return f(x.server.Client)
	}
	seen := make(map[string]redis.Cmdable)
	for _, s := range x.server.Shards {
		node, err := cluster.MasterForKey(ctx, s.Key)
		if err != nil {
			return server.Translate(err)
		}
		seen[node.Options().Addr] = node
	}
	for _, node := range seen {
		if err := f(node); err != nil {
			return err
		}
	}
	return nil
}

// globOf returns a pattern of SCAN that matches only this text.
func globOf(text string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(text)
}

func (x *exporting) keys(ctx context.Context, kind string, keys []string) error {
	byShard := make(map[*server.Shard][]outgoing)
	for _, key := range keys {
		for _, s := range x.server.Shards {
			if name, ours := strings.CutPrefix(key, s.Key+kind); ours {
				byShard[s] = append(byShard[s], outgoing{id: name})
			}
		}
	}
	for _, s := range x.server.Shards {
		for some := range slices.Chunk(byShard[s], exportedAtOnce) {
			if kind == ":k:" {
				if err := x.holders(ctx, s, some); err != nil {
					return err
				}
			}
			if err := x.readAndVisit(ctx, s, some); err != nil {
				return err
			}
		}
	}
	return nil
}

// holders replaces names of idempotency keys by the ids of the requests that hold them.
func (x *exporting) holders(ctx context.Context, s *server.Shard, some []outgoing) error {
	pipe := x.server.Client.Pipeline()
	ids := make([]*redis.StringCmd, len(some))
	for i := range some {
		ids[i] = pipe.HGet(ctx, s.HeldKey(some[i].id), "id")
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return server.Translate(err)
	}
	for i := range some {
		some[i] = outgoing{id: ids[i].Val(), keyName: some[i].id} // without an id its lifetime has just ended
	}
	return nil
}

// readAndVisit visits those that are still there, as many as may be in memory together.
func (x *exporting) readAndVisit(ctx context.Context, s *server.Shard, some []outgoing) error {
	some = slices.DeleteFunc(some, func(o outgoing) bool { return o.id == "" })
	sizes, err := x.sizes(ctx, s, some)
	if err != nil {
		return err
	}
	for len(some) > 0 {
		n, sum := 1, sizes[0]
		for ; n < len(some) && sum+sizes[n] <= server.MaxGroupBytes; n++ {
			sum += sizes[n]
		}
		all, err := x.read(ctx, s, some[:n])
		some, sizes = some[n:], sizes[n:]
		if err == nil && len(all) > 0 {
			err = x.visit(all)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// sizes returns how many bytes there are to read of each, and completes the names of idempotency keys.
func (x *exporting) sizes(ctx context.Context, s *server.Shard, some []outgoing) ([]int64, error) {
	if len(some) == 0 {
		return nil, nil
	}
	pipe := x.server.Client.Pipeline()
	records, letters := make([]*redis.SliceCmd, len(some)), make([]*redis.SliceCmd, len(some))
	for i := range some {
		records[i] = pipe.HMGet(ctx, s.RecordKey(domain.ID(some[i].id)), "size", "answered", "key")
		letters[i] = pipe.HMGet(ctx, s.LetterKey(domain.ID(some[i].id)), "size")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, server.Translate(err)
	}
	sizes := make([]int64, len(some))
	for i := range some {
		record := script.Row{Names: []string{"size", "answered", "key"}, Values: records[i].Val()}
		letter := script.Row{Names: []string{"size"}, Values: letters[i].Val()}
		sizes[i] = record.Number("size") + record.Number("answered") + letter.Number("size")
		some[i].keyName = cmp.Or(some[i].keyName, record.Text("key"))
	}
	return sizes, nil
}

// exportedFields are those of a record.
var exportedFields = append(slices.Clone(codec.WholeFields), "request", "queue")

// parts are the answers about one request.
type parts struct {
	record, letter, key          *redis.SliceCmd
	recordEnd, letterEnd, keyEnd *redis.DurationCmd
}

var heldFields = []string{"id", "fingerprint", "submitted"}

// read reads all that there is under these ids.
func (x *exporting) read(ctx context.Context, s *server.Shard, some []outgoing) ([]ports.Stored, error) {
	pipe := x.server.Client.Pipeline()
	answers := make([]parts, len(some))
	for i := range some {
		record, letter := s.RecordKey(domain.ID(some[i].id)), s.LetterKey(domain.ID(some[i].id))
		answers[i] = parts{
			record: pipe.HMGet(ctx, record, exportedFields...), recordEnd: pipe.PTTL(ctx, record),
			letter: pipe.HMGet(ctx, letter, codec.WholeLetterFields...), letterEnd: pipe.PTTL(ctx, letter),
		}
		if name := some[i].keyName; name != "" {
			key := s.HeldKey(name)
			answers[i].key, answers[i].keyEnd = pipe.HMGet(ctx, key, heldFields...), pipe.PTTL(ctx, key)
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, server.Translate(err)
	}
	now := x.opts.Now()
	all := make([]ports.Stored, 0, len(some))
	for i := range some {
		one, err := answers[i].stored(domain.ID(some[i].id), some[i].keyName, now)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ports.ErrUnavailable, err)
		}
		if one.Record != nil || one.Letter != nil || one.Key != nil {
			all = append(all, one)
		}
	}
	return all, nil
}

// stored puts the parts together.
func (p *parts) stored(id domain.ID, keyName string, now time.Time) (ports.Stored, error) {
	one := ports.Stored{ID: id}
	if err := p.readRecord(&one, now); err != nil {
		return one, err
	}
	if err := p.readLetter(&one, now); err != nil {
		return one, err
	}
	if p.key == nil {
		return one, nil
	}
	key := script.Row{Names: heldFields, Values: p.key.Val()}
	owner, name, ok := parseKeyName(keyName)
	if !ok || key.Text("id") != string(id) {
		return one, nil // it is gone, or another request has it
	}
	one.Key = &ports.StoredIdempotency{
		Idempotency: domain.Idempotency{Key: name, ExpiresAt: now.Add(p.keyEnd.Val())},
		Owner:       owner, SubmittedAt: codec.FromMicros(key.Number("submitted")),
	}
	copy(one.Key.Fingerprint[:], key.Text("fingerprint"))
	return one, nil
}

func (p *parts) readRecord(one *ports.Stored, now time.Time) error {
	row := script.Row{Names: exportedFields, Values: p.record.Val()}
	state, found, err := codec.ReadState(one.ID, script.Row{Names: codec.StateFields, Values: row.Values})
	if err != nil || !found {
		return err
	}
	rec := state.WithResult()
	if response := row.Bytes("response"); len(response) > 0 {
		if one.Response, err = codec.DecodeResponse(response); err != nil {
			return err
		}
	}
	one.Record = &rec
	if rec.Status.Final() {
		one.Expires = now.Add(p.recordEnd.Val())
		return nil
	}
	rec.Status = domain.Pending
	if row.Text("queue") == codec.CarriedQueue {
		return nil // also where its original is kept
	}
	req, err := codec.DecodeRequest(&rec, row.Bytes("request"))
	one.Request = &req
	return err
}

func (p *parts) readLetter(one *ports.Stored, now time.Time) error {
	row := script.Row{Names: codec.WholeLetterFields, Values: p.letter.Val()}
	letter, rec, err := codec.ReadStoredLetter(one.ID, row)
	if err != nil || letter == nil {
		return err
	}
	one.Letter = &ports.StoredLetter{
		DeadLetter: *letter, Owner: rec.Owner, Priority: rec.Priority, Deadline: rec.Deadline,
		Expires: now.Add(p.letterEnd.Val()),
	}
	return nil
}
