package paired_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang/mock/gomock"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application/exchange"
	"github.com/openhqm/openhqm/application/paired"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/mocks"
)

// drainStore is the store beside a carrier that is drained.
type drainStore struct {
	*mocks.MockStore
	*mocks.MockLosses
	*mocks.MockGauge
}

// drain is one under test.
type drain struct {
	carrier *mocks.MockCarrier
	mark    *mocks.MockMark
	store   drainStore
	kept    int // as it was told last
}

func newDrain(t *testing.T) (*drain, *paired.Drain) {
	t.Helper()
	ctrl := gomock.NewController(t)
	d := &drain{
		carrier: mocks.NewMockCarrier(ctrl), mark: mocks.NewMockMark(ctrl),
		store: drainStore{mocks.NewMockStore(ctrl), mocks.NewMockLosses(ctrl), mocks.NewMockGauge(ctrl)},
	}
	d.carrier.EXPECT().Mark(gomock.Any()).Return(d.mark, nil)
	documents := envelope.Reader{DefaultEndpoint: "standard", MaxAge: time.Hour, MaxSize: 1 << 20}
	return d, paired.NewDrain(d.carrier, d.store, paired.DrainOptions{
		Reader: exchange.NewReader(
			func() envelope.Reader { return documents }, time.Now, slog.New(slog.DiscardHandler)),
		Losses:   paired.LossOptions{Age: age, Logger: slog.New(slog.DiscardHandler)},
		Progress: func(kept int) { d.kept = kept },
	})
}

// hasOut lets the carrier hand out messages once; none: it has nothing for as long as it is asked.
func (d *drain) hasOut(messages ...ports.Received) *gomock.Call {
	return d.carrier.EXPECT().Receive(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(
		func(ctx context.Context, _ int, _ int64) ([]ports.Received, error) {
			if len(messages) == 0 {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}
			return messages, nil
		})
}

func (d *drain) keeps(errs ...error) *gomock.Call {
	return d.store.MockStore.EXPECT().Keep(gomock.Any(), gomock.Len(len(errs))).Return(errs)
}

func (d *drain) nothingSuspect() *gomock.Call {
	return d.store.MockLosses.EXPECT().Suspects(gomock.Any(), age).Return(time.Time{}, nil)
}

func (d *drain) carries(n int64) *gomock.Call {
	return d.store.MockGauge.EXPECT().Depths(gomock.Any()).Return(ports.Depths{Carried: n}, nil)
}

func TestADrainSettlesWhatIsKeptUntilNothingIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, drain := newDrain(t)
		broken := raw("oops", []byte("no JSON"))
		gomock.InOrder(
			d.hasOut(message("a"), broken, message("b")),
			d.store.MockStore.EXPECT().Reject(gomock.Any(), gomock.Any()).DoAndReturn(
				func(_ context.Context, rejection ports.Rejection) error {
					require.Equal(t, []byte("no JSON"), rejection.Original.Value)
					return nil
				}),
			d.store.MockStore.EXPECT().Keep(gomock.Any(), gomock.Len(2)).DoAndReturn(
				func(_ context.Context, arrivals []ports.Arrival) []error {
					require.Equal(t, domain.ID("a"), arrivals[0].Request.ID)
					require.Equal(t, []byte("body"), arrivals[1].Request.Body)
					return []error{nil, nil}
				}),
			d.carrier.EXPECT().Settle([]ports.Ticket{"a", "oops", "b"}),
			d.hasOut(), d.nothingSuspect(), d.mark.EXPECT().Passed(gomock.Any()).Return(false, nil),
			d.hasOut(message("c")), d.keeps(nil), d.carrier.EXPECT().Settle([]ports.Ticket{"c"}),
			d.hasOut(), d.nothingSuspect(), d.mark.EXPECT().Passed(gomock.Any()).Return(true, nil), d.carries(1),
			d.hasOut(), d.nothingSuspect(), d.mark.EXPECT().Passed(gomock.Any()).Return(true, nil), d.carries(0),
		)
		require.NoError(t, drain.Run(t.Context()))
		require.Equal(t, 4, d.kept)
	})
}

func TestADrainMakesADeadLetterOfAMessageWhoseIDIsUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, drain := newDrain(t)
		gomock.InOrder(
			d.hasOut(message("a")), d.keeps(fmt.Errorf("%w: a", ports.ErrIDUsed)),
			d.store.MockStore.EXPECT().Reject(gomock.Any(), gomock.Any()).DoAndReturn(
				func(_ context.Context, rejection ports.Rejection) error {
					require.Equal(t, domain.ReasonIDConflict, rejection.Reason)
					return nil
				}),
			d.carrier.EXPECT().Settle([]ports.Ticket{"a"}),
			d.hasOut(), d.nothingSuspect(), d.mark.EXPECT().Passed(gomock.Any()).Return(true, nil), d.carries(0),
		)
		require.NoError(t, drain.Run(t.Context()))
	})
}

// TestADrainEndsWhatTheCarrierHasLost has a request in the store whose message is nowhere.
func TestADrainEndsWhatTheCarrierHasLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, drain := newDrain(t)
		suspect := func() *gomock.Call { return d.store.MockLosses.EXPECT().Suspects(gomock.Any(), age).Return(noon, nil) }
		passed := func() *gomock.Call { return d.mark.EXPECT().Passed(gomock.Any()).Return(true, nil) }
		gomock.InOrder(
			d.hasOut(), suspect(), d.carrier.EXPECT().Mark(gomock.Any()).Return(d.mark, nil), passed(), d.carries(1),
			d.hasOut(), suspect(), passed(),
			d.store.MockLosses.EXPECT().EndLost(gomock.Any(), noon, gomock.Any()).Return(1, nil), passed(), d.carries(0),
		)
		require.NoError(t, drain.Run(t.Context()))
	})
}

func TestADrainSettlesNothingThatIsNotKept(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(d *drain){
		"keep": func(d *drain) { d.hasOut(message("a"), message("b")); d.keeps(nil, errBehind) },
		"queue": func(d *drain) {
			d.carrier.EXPECT().Receive(gomock.Any(), gomock.Any(), gomock.Any()).Return(nil, errBehind)
		},
		"passed": func(d *drain) {
			d.hasOut()
			d.nothingSuspect()
			d.mark.EXPECT().Passed(gomock.Any()).Return(false, errBehind)
		},
		"reject": func(d *drain) {
			d.hasOut(raw("oops", []byte("no JSON")))
			d.store.MockStore.EXPECT().Reject(gomock.Any(), gomock.Any()).Return(errBehind)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d, drain := newDrain(t)
				fail(d)
				require.ErrorIs(t, drain.Run(t.Context()), ports.ErrUnavailable)
			})
		})
	}
}

func TestADrainEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d, drain := newDrain(t)
		d.hasOut()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, drain.Run(ctx), context.DeadlineExceeded)
	})
}
