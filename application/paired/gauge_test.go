package paired_test

import (
	"cmp"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application/paired"
	"github.com/openhqm/openhqm/ports"
)

type lagging struct {
	lag ports.Lag
	err error
}

func (l lagging) Lag(context.Context) (ports.Lag, error) { return l.lag, l.err }

type depths struct {
	depths ports.Depths
	err    error
}

func (d depths) Depths(ctx context.Context) (ports.Depths, error) {
	return d.depths, cmp.Or(d.err, ctx.Err())
}

// hanging is a queue that does not answer.
type hanging struct{}

func (hanging) Lag(ctx context.Context) (ports.Lag, error) {
	<-ctx.Done()
	return ports.Lag{}, ctx.Err()
}

func TestAQueueThatHangsDoesNotDelayTheStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		d, err := paired.NewGauge(hanging{}, depths{depths: ports.Depths{Ready: 7}}).Depths(ctx)
		require.NoError(t, err)
		require.Equal(t, ports.Depths{Ready: 7, Approximate: true}, d)
	})
}

func TestDepthCountsTheStoreAndWhatOnlyTheQueueHas(t *testing.T) {
	t.Parallel()
	stored := ports.Depths{Ready: 5, Delayed: 2, Leased: 3, DeadLetters: 1, Carried: 4, OldestReady: noon}
	before := noon.Add(-time.Hour)
	for name, tt := range map[string]struct {
		queue      lagging
		store      ports.Depths
		wantReady  int64
		wantOldest time.Time
	}{
		"nothing but ours":        {lagging{lag: ports.Lag{Messages: 4, Oldest: before}}, stored, 5, noon},
		"ours, not yet committed": {lagging{lag: ports.Lag{Messages: 1}}, stored, 5, noon},
		"foreign and older":       {lagging{lag: ports.Lag{Messages: 14, Oldest: before}}, stored, 15, before},
		"foreign and newer":       {lagging{lag: ports.Lag{Messages: 5, Oldest: noon.Add(1)}}, stored, 6, noon},
		"foreign, of unknown age": {lagging{lag: ports.Lag{Messages: 5}}, stored, 6, noon},
		"foreign ones alone":      {lagging{lag: ports.Lag{Messages: 2, Oldest: noon}}, ports.Depths{}, 2, noon},
		"a queue that is away":    {lagging{err: ports.ErrUnavailable}, stored, 5, noon},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			want := tt.store
			want.Ready, want.OldestReady, want.Approximate = tt.wantReady, tt.wantOldest, true
			got, err := paired.NewGauge(tt.queue, depths{depths: tt.store}).Depths(t.Context())
			require.NoError(t, err)
			require.Equal(t, want, got)
		})
	}
	_, err := paired.NewGauge(lagging{}, depths{err: ports.ErrUnavailable}).Depths(t.Context())
	require.ErrorIs(t, err, ports.ErrUnavailable)
}
