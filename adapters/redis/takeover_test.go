package redis_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// TestLeasesOfARefusedEndpointAreInNobodysWay has a dead worker that held more of them than one script looks at, and
// one request of another endpoint behind them.
func TestLeasesOfARefusedEndpointAreInNobodysWay(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	opts := options(s.url())
	opts.Lease = time.Second
	db := openDB(t, opts)
	dying, kill := context.WithCancel(t.Context())
	dead, wait := db.NewConsumer(dying)
	const n = 300
	for range n {
		r := newRequest()
		r.Endpoint = "refused"
		accept(t, db, r)
	}
	var held []ports.Delivery
	for len(held) < n {
		some, err := dead.Receive(t.Context(), ports.Credit{Count: n, Bytes: 1 << 20})
		require.NoError(t, err)
		held = append(held, some...)
	}
	behind := newRequest()
	accept(t, db, behind)
	receive(t, dead)
	kill()
	wait()

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	c := consume(t, db)
	got, err := c.Receive(ctx, ports.Credit{Count: 1, Bytes: 1 << 20, Endpoints: map[string]int{"refused": 0}})
	require.NoError(t, err)
	require.Equal(t, behind.ID, got[0].Request.ID)
	require.Equal(t, 2, got[0].Deliveries)

	depths, err := db.Depths(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, n, depths.Ready, "the others wait like any that is ready")
	require.EqualValues(t, 1, depths.Leased)
	rec, err := db.State(t.Context(), held[0].Request.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Pending, rec.Status)
	require.Zero(t, rec.Attempts)
	require.ErrorIs(t, c.Finish(t.Context(), []ports.Finish{{
		ID: held[0].Request.ID, Token: held[0].Token, Outcome: domain.Outcome{Status: domain.Completed, At: time.Now()},
	}})[0], ports.ErrLost, "it is nobody's")
	again := receive(t, c)
	require.Equal(t, "refused", again.Request.Endpoint)
	require.Equal(t, 2, again.Deliveries, "those before it are counted")
}
