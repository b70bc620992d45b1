package worker

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func newShared(bytes int64, endpoints ...string) *capacity {
	gates := NewGates(nil, time.Now, slog.New(slog.DiscardHandler))
	return newCapacity(Options{Slots: 100, MaxBytes: bytes, Gates: gates, Known: endpoints})
}

// hold takes one delivery on that has a body.
func (a *capacity) hold(endpoint string, bytes int) int64 {
	d := ports.Delivery{Request: domain.Request{Endpoint: endpoint, Body: make([]byte, bytes)}}
	a.begin(&d, crowd)
	return d.Request.Size()
}

// next returns a credit that is not used.
func (a *capacity) next(t *testing.T) (ports.Credit, context.Context) {
	t.Helper()
	credit, valid, done, ok := a.credit(t.Context())
	require.True(t, ok)
	t.Cleanup(done)
	return credit, valid
}

func TestAnEndpointThatHoldsAsMuchAsIsFreeGetsNothingMore(t *testing.T) {
	t.Parallel()
	const all, piece = 100_000, 10_000
	a := newShared(all, "hangs", "works", "other")
	credit, valid := a.next(t)
	require.Equal(t, int64(all/2), credit.Bytes, "nobody gets everything at once")
	require.Empty(t, credit.Endpoints)

	var sizes []int64
	for credit.Endpoints == nil {
		sizes = append(sizes, a.hold("hangs", piece))
		credit, valid = a.next(t)
	}
	require.Len(t, sizes, 5, "half of it")
	require.Equal(t, map[string]int{"hangs": 0}, credit.Endpoints)
	require.Positive(t, credit.Bytes)

	for range 3 {
		a.hold("other", piece)
		credit, valid = a.next(t)
	}
	require.Equal(t, map[string]int{"hangs": 0, "other": 0}, credit.Endpoints)
	a.end("works", true, 0) // what does not concern them leaves the credit alone
	a.saved(&finished{endpoint: "works"})
	require.NoError(t, valid.Err())

	for i, size := range sizes {
		a.end("hangs", true, 0)
		a.saved(&finished{endpoint: "hangs", size: size})
		if i == 0 {
			require.NoError(t, valid.Err(), "it still holds more than is free")
		}
	}
	require.Error(t, valid.Err(), "they may have more")
	credit, _ = a.next(t)
	require.Empty(t, credit.Endpoints)
}

func TestAnEndpointThatIsAloneMayHoldEverything(t *testing.T) {
	t.Parallel()
	a := newShared(100_000, "only")
	a.hold("only", 90_000)
	credit, _ := a.next(t)
	require.Empty(t, credit.Endpoints)
	require.Positive(t, credit.Bytes)
}

func TestAFetchWithoutDeliveriesDoesNotEndTheCaution(t *testing.T) {
	t.Parallel()
	var c caution
	c.divide([]ports.Delivery{{Deliveries: 3}}, 1)
	c.divide(nil, 0)
	require.Equal(t, 1, c.room(0))
	require.Zero(t, c.room(1))
	c.divide([]ports.Delivery{{Deliveries: 1}}, 0)
	require.Greater(t, c.room(1), 1000)
}
