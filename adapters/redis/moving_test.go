package redis_test

import (
	"net"
	"strconv"
	"testing"
	"time"

	goredis "github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// move is that of a slot from one node of a Cluster to another.
type move struct {
	slot               int64
	source, target     *goredis.Client
	sourceID, targetID string
}

// beginMove prepares the move of a key's slot, as redis-cli does: see "Live reconfiguration" in the specification of
// Redis Cluster.
func beginMove(t *testing.T, client *goredis.ClusterClient, key string) *move {
	t.Helper()
	ctx := t.Context()
	m := &move{slot: client.ClusterKeySlot(ctx, key).Val()}
	var err error
	m.source, err = client.MasterForKey(ctx, key)
	require.NoError(t, err)
	for other := 0; m.target == nil || m.target == m.source; other++ {
		m.target, err = client.MasterForKey(ctx, strconv.Itoa(other))
		require.NoError(t, err)
	}
	id := func(node *goredis.Client) string {
		id, err := node.Do(ctx, "CLUSTER", "MYID").Text()
		require.NoError(t, err)
		return id
	}
	m.sourceID, m.targetID = id(m.source), id(m.target)
	m.set(t, m.target, "IMPORTING", m.sourceID)
	m.set(t, m.source, "MIGRATING", m.targetID)
	return m
}

func (m *move) set(t *testing.T, node *goredis.Client, args ...any) {
	t.Helper()
	require.NoError(t, node.Do(t.Context(), append([]any{"CLUSTER", "SETSLOT", m.slot}, args...)...).Err())
}

// keys moves at most n keys, and returns how many there were.
func (m *move) keys(t *testing.T, n int) int {
	t.Helper()
	keys, err := m.source.ClusterGetKeysInSlot(t.Context(), int(m.slot), n).Result()
	require.NoError(t, err)
	host, port, err := net.SplitHostPort(m.target.Options().Addr)
	require.NoError(t, err)
	for _, key := range keys {
		require.NoError(t, m.source.Migrate(t.Context(), host, port, key, 0, 10*time.Second).Err())
	}
	return len(keys)
}

func (m *move) end(t *testing.T) {
	t.Helper()
	for m.keys(t, 100) > 0 {
		continue
	}
	m.set(t, m.target, "NODE", m.targetID)
	m.set(t, m.source, "NODE", m.targetID)
}

// TestNothingIsLostWhenASlotIsMoved refuses what comes meanwhile.
func TestNothingIsLostWhenASlotIsMoved(t *testing.T) {
	t.Parallel()
	url := startCluster(t)
	client := clusterClient(t, url)
	db := openDB(t, options(url))
	c := consume(t, db)
	accept(t, db, newRequest())
	held, waiting := receive(t, c), newRequest()
	accept(t, db, waiting)

	m := beginMove(t, client, "{openhqm-requests}")
	refused := func() {
		require.ErrorIs(t, tryAccept(t.Context(), db, newRequest()), ports.ErrUnavailable)
		err := c.Finish(t.Context(), []ports.Finish{{
			ID: held.Request.ID, Token: held.Token, Outcome: domain.Outcome{Status: domain.Completed, At: time.Now()},
		}})[0]
		require.ErrorIs(t, err, ports.ErrUnavailable)
		require.ErrorContains(t, err, "is being moved")
	}
	refused()
	require.Zero(t, m.target.DBSize(t.Context()).Val(), "nothing was begun where the slot is not yet")
	require.NotZero(t, m.keys(t, 3))
	refused()
	m.end(t)

	finish(t, c, held, domain.Completed)
	require.Equal(t, waiting.ID, receive(t, c).Request.ID)
	depths, err := db.Depths(t.Context())
	require.NoError(t, err)
	require.Equal(t, ports.Depths{Leased: 1}, depths)
}
