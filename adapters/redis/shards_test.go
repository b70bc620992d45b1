package redis_test

import (
	"context"
	"net"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

// forSome makes a request whose shard is one of those.
func forSome(db *redis.DB, those func(shard string) bool) domain.Request {
	for {
		if r := newRequest(); those(db.ShardKey(r.ID)) {
			return r
		}
	}
}

// slotOf returns the slot of a key, which any node knows.
func slotOf(t *testing.T, node *server, key string) int {
	t.Helper()
	slot, err := node.client().ClusterKeySlot(t.Context(), key).Result()
	require.NoError(t, err)
	return int(slot)
}

// ownedBy reports which shards are on the master with that number.
func ownedBy(t *testing.T, nodes []*server, number int) func(shard string) bool {
	t.Helper()
	var mu sync.Mutex
	known := make(map[string]bool)
	return func(shard string) bool {
		mu.Lock()
		defer mu.Unlock()
		if _, ok := known[shard]; !ok {
			slot := slotOf(t, nodes[(number+1)%len(nodes)], shard)
			known[shard] = slots*number/len(nodes) <= slot && slot < slots*(number+1)/len(nodes)
		}
		return known[shard]
	}
}

// countShards counts those among the shards.
func countShards(db *redis.DB, those func(shard string) bool) int {
	n := 0
	for _, key := range db.ShardKeys() {
		if those(key) {
			n++
		}
	}
	return n
}

func not(those func(string) bool) func(string) bool {
	return func(shard string) bool { return !those(shard) }
}

// waitFor waits in the background for a request to become final.
func waitFor(t *testing.T, db *redis.DB, id domain.ID) (final <-chan domain.Record) {
	t.Helper()
	records := make(chan domain.Record, 1)
	go func() {
		if rec, err := db.Wait(t.Context(), id); err == nil {
			records <- rec
		}
	}()
	return records
}

func requireFinal(t *testing.T, final <-chan domain.Record) {
	t.Helper()
	select {
	case rec := <-final:
		require.Equal(t, domain.Completed, rec.Status)
	case <-time.After(patience):
		require.Fail(t, "a wait does not end")
	}
}

// commands counts what clients have sent to some servers, by name.
func commands(t *testing.T, nodes []*server) map[string]int {
	t.Helper()
	n := make(map[string]int)
	for _, node := range nodes {
		info, err := node.client().InfoMap(t.Context(), "commandstats").Result()
		require.NoError(t, err)
		for name, stats := range info["Commandstats"] {
			n[strings.TrimPrefix(name, "cmdstat_")] += atoi(t, strings.TrimPrefix(strings.Split(stats, ",")[0], "calls="))
		}
	}
	return n
}

func TestAnIdleWorkerOfManyShardsIsQuiet(t *testing.T) {
	t.Parallel()
	one := startServer(t)
	masters, cluster := startMasters(t)
	const shards = 4
	for _, tt := range []struct {
		name  string
		nodes []*server
		url   string
		reads int // that block, at once
	}{
		{"one server", []*server{one}, one.url(), 1},
		{"a cluster", masters, cluster, shards},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opts := options(tt.url)
			opts.Shards = shards
			db := openDB(t, opts)
			c := consume(t, db)
			accept(t, db, newRequest())
			receive(t, c)
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				_, err := c.Receive(ctx, ports.Credit{Count: 1, Bytes: 1})
				ended <- err
			}()
			client := tt.nodes[0].client()
			now := func() time.Time { return client.Time(t.Context()).Val() }
			began, before := now(), commands(t, tt.nodes)
			require.Eventually(t, func() bool { return now().Sub(began) > 4*time.Second }, patience, 100*time.Millisecond)
			after := commands(t, tt.nodes)
			seconds := int(now().Sub(began)/time.Second) + 1
			did := func(name string) int { return after[name] - before[name] }
			require.LessOrEqual(t, did("blpop"), tt.reads*(seconds+1), "each blocks for a second")
			require.NotZero(t, did("blpop"))
			// Of each shard, in a second: one look at each lane, and one sweep.
			require.LessOrEqual(t, did("evalsha"), 4*shards*(seconds+1))
			require.LessOrEqual(t, did("lpush"), 2*shards, "nobody is stirred but by the first answer")
			stop()
			require.ErrorIs(t, <-ended, context.Canceled)
		})
	}
}

func TestAWakeUpThatIsPassedOnIsOneElement(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	c := consume(t, openDB(t, options(s.url())))
	for range 2 {
		c.PassOn("{openhqm-requests}:bell:orders")
	}
	require.EqualValues(t, 1, s.client().LLen(t.Context(), "{openhqm-requests}:bell:orders").Val())
}

// TestADeadMasterStopsNoOtherShard kills one of three masters. What is on the other two goes on: what was delayed, what
// comes, and those who wait, also for the first time.
func TestADeadMasterStopsNoOtherShard(t *testing.T) {
	t.Parallel()
	nodes, url := startMasters(t, "--cluster-require-full-coverage", "no")
	opts := options(url)
	opts.Shards = 6
	var log testkit.LogBuffer
	opts.Logger = log.Logger()
	db := openDB(t, opts)
	c := consume(t, db)
	const victim = 1
	dead := ownedBy(t, nodes, victim)
	alive := not(dead)
	lost := forSome(db, dead)
	waits := make(map[domain.ID]<-chan domain.Record)
	delayed := make(map[string]domain.ID) // one in each shard that lives
	for len(delayed) < countShards(db, alive) {
		r := forSome(db, func(shard string) bool { return alive(shard) && delayed[shard] == "" })
		r.NotBefore = time.Now().Add(2 * time.Second)
		accept(t, db, r)
		delayed[db.ShardKey(r.ID)] = r.ID
	}

	require.NoError(t, nodes[victim].stop())
	require.ErrorIs(t, tryAccept(t.Context(), db, lost), ports.ErrUnavailable)
	for i, node := range nodes {
		if i != victim {
			require.NoError(t, node.client().ScriptFlush(t.Context()).Err())
		}
	}
	for _, id := range delayed {
		waits[id] = waitFor(t, db, id)
	}
	for range 10 {
		r := forSome(db, alive)
		accept(t, db, r)
		waits[r.ID] = waitFor(t, db, r.ID)
	}
	for range waits {
		finish(t, c, receive(t, c), domain.Completed)
	}
	for _, final := range waits {
		requireFinal(t, final)
	}
	_, err := db.State(t.Context(), lost.ID)
	require.ErrorIs(t, err, ports.ErrUnavailable, "nobody knows whether it is there")

	require.NoError(t, nodes[victim].start())
	require.Eventually(t, func() bool { return tryAccept(t.Context(), db, lost) == nil }, patience, 10*time.Millisecond)
	require.Equal(t, lost.ID, receive(t, c).Request.ID)
	require.Equal(t, 1, strings.Count(log.String(), "broker unavailable"), "one outage: %s", log.String())
}

// TestANodeThatHangsCostsNoOtherShardsLeases stops one of three masters, which keeps its connections.
func TestANodeThatHangsCostsNoOtherShardsLeases(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a lease has to run out")
	}
	nodes, url := startMasters(t, "--cluster-require-full-coverage", "no")
	opts := options(url)
	opts.Shards, opts.Lease = 6, 3*time.Second
	db := openDB(t, opts)
	c := consume(t, db)
	const victim = 1
	hung := ownedBy(t, nodes, victim)
	kept, held := forSome(db, not(hung)), forSome(db, hung)
	accept(t, db, kept)
	first := receive(t, c)
	accept(t, db, held)
	second := receive(t, c)

	require.NoError(t, nodes[victim].process.Signal(syscall.SIGSTOP))
	stopped := time.Now()
	require.Eventually(t, func() bool { return time.Since(stopped) > 2*opts.Lease }, patience, 10*time.Millisecond)
	require.NoError(t, first.Lease.Err(), "it has been extended")
	finish(t, c, first, domain.Completed)
	fresh := forSome(db, not(hung))
	accept(t, db, fresh)
	d := receive(t, c)
	require.Equal(t, fresh.ID, d.Request.ID)
	finish(t, c, d, domain.Completed)
	require.NoError(t, nodes[victim].process.Signal(syscall.SIGCONT))
	require.Eventually(t, func() bool {
		return c.Finish(t.Context(), []ports.Finish{{
			ID: held.ID, Token: second.Token, Outcome: domain.Outcome{Status: domain.Completed, At: time.Now()},
		}})[0] == nil
	}, patience, 10*time.Millisecond, "nobody else had it")
	require.NoError(t, second.Lease.Err())
}

// TestWaitersFollowAShardThatMoves has one who waits while the slot goes to another master.
func TestWaitersFollowAShardThatMoves(t *testing.T) {
	t.Parallel()
	nodes, url := startMasters(t)
	db := openDB(t, options(url))
	c := consume(t, db)
	r := newRequest()
	accept(t, db, r)
	final := waitFor(t, db, r.ID)
	const shard = "{openhqm-requests}"
	require.Eventually(t, func() bool {
		n := 0
		for _, node := range nodes {
			n += len(node.client().PubSubShardChannels(t.Context(), shard+"*").Val())
		}
		return n == 1
	}, patience, 10*time.Millisecond, "nobody listens")
	moveSlot(t, nodes, slotOf(t, nodes[0], shard))
	finish(t, c, receive(t, c), domain.Completed)
	requireFinal(t, final)
}

// moveSlot brings a slot with all that is in it to another master, as operators do it.
func moveSlot(t *testing.T, nodes []*server, slot int) {
	t.Helper()
	from := nodes[slot*len(nodes)/slots]
	to := nodes[(slot*len(nodes)/slots+1)%len(nodes)]
	do := func(node *server, args ...any) *goredis.Cmd {
		cmd := node.client().Do(t.Context(), args...)
		require.NoError(t, cmd.Err())
		return cmd
	}
	source, err := do(from, "CLUSTER", "MYID").Text()
	require.NoError(t, err)
	target, err := do(to, "CLUSTER", "MYID").Text()
	require.NoError(t, err)
	do(to, "CLUSTER", "SETSLOT", slot, "IMPORTING", source)
	do(from, "CLUSTER", "SETSLOT", slot, "MIGRATING", target)
	host, port, err := net.SplitHostPort(to.address)
	require.NoError(t, err)
	number, err := strconv.Atoi(port)
	require.NoError(t, err)
	for {
		keys, err := from.client().ClusterGetKeysInSlot(t.Context(), slot, 100).Result()
		require.NoError(t, err)
		if len(keys) == 0 {
			break
		}
		args := []any{"MIGRATE", host, number, "", 0, 5000, "KEYS"}
		for _, key := range keys {
			args = append(args, key)
		}
		do(from, args...)
	}
	for _, node := range []*server{to, from} {
		do(node, "CLUSTER", "SETSLOT", slot, "NODE", target)
	}
}

// TestFullMemoryIsADetail has a Redis that takes nothing more. What it has can still be read.
func TestFullMemoryIsADetail(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := options(s.url())
	opts.Shards = 2
	db := openDB(t, opts)
	require.NoError(t, db.Probe(t.Context()))
	require.Empty(t, db.Details())
	require.NoError(t, s.client().ConfigSet(t.Context(), "maxmemory", "1mb").Err()) // it has more already
	require.NoError(t, db.Probe(t.Context()))
	require.Contains(t, db.Details()["memory"], "maxmemory")
	require.NoError(t, s.client().ConfigSet(t.Context(), "maxmemory", "0").Err())
	require.NoError(t, db.Probe(t.Context()))
	require.Empty(t, db.Details())
}

// TestAStreamThatGoesWhileAReceiverWaitsIsMadeAgain empties a Redis that other programs write to.
func TestAStreamThatGoesWhileAReceiverWaitsIsMadeAgain(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	client := s.client()
	var log testkit.LogBuffer
	opts := options(s.url())
	opts.Logger = log.Logger()
	in := inlet(t, openDB(t, opts), plainStream)
	add(t, client, "first")
	require.Equal(t, "first", string(receiveSome(t, in, 1, room)[0].Value))
	received := make(chan []ports.Received, 1)
	go func() {
		all, err := in.Receive(t.Context(), 1, room)
		if err == nil {
			received <- all
		}
	}()
	require.Eventually(t, func() bool {
		if strings.Contains(client.ClientList(t.Context()).Val(), "flags=b") {
			require.NoError(t, client.FlushAll(t.Context()).Err())
		}
		return strings.Contains(client.Info(t.Context(), "errorstats").Val(), "errorstat_UNBLOCKED")
	}, patience, time.Millisecond, "no read waits")
	add(t, client, "kept")
	select {
	case all := <-received:
		require.Equal(t, "kept", string(all[0].Value))
	case <-time.After(patience):
		require.Fail(t, "what is written afterwards never comes")
	}
	require.NotContains(t, log.String(), "broker unavailable")
}
