package embedded

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestWorkOfUnknownEndpointsStaysWhereItIs(t *testing.T) {
	t.Parallel()
	c := newClock()
	db := openFresh(t, c)
	w := consume(t, db)
	gone, there := newRequest(c.Now()), newRequest(c.Now())
	gone.Endpoint, there.Endpoint = "gone", "there"
	accept(t, db, gone, there)

	known := map[string]struct{}{"there": {}}
	deliveries, err := w.Receive(t.Context(), ports.Credit{Count: 10, Bytes: 1 << 20, Known: known})
	require.NoError(t, err)
	require.Len(t, deliveries, 1)
	require.Equal(t, there.ID, deliveries[0].Request.ID)

	record, err := db.State(t.Context(), gone.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Pending, record.Status)
	require.Zero(t, record.Deliveries, "it was not even begun")
	deliveries, err = w.Receive(t.Context(), ports.Credit{Count: 10, Bytes: 1 << 20})
	require.NoError(t, err)
	require.Equal(t, gone.ID, deliveries[0].Request.ID, "a worker that knows all gets it")
}
