package paired_test

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang/mock/gomock"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application/paired"
	"github.com/openhqm/openhqm/tests/mocks"
)

// losses is one under test, and what it works with.
type losses struct {
	carrier *mocks.MockMarking
	mark    *mocks.MockMark
	store   *mocks.MockLosses
}

const age = time.Minute

// look lets it look so many times, after expect has said what it should do then.
func look(t *testing.T, times int, expect func(l losses)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctrl := gomock.NewController(t)
		l := losses{mocks.NewMockMarking(ctrl), mocks.NewMockMark(ctrl), mocks.NewMockLosses(ctrl)}
		expect(l)
		opts := paired.LossOptions{Age: age, Every: 5 * time.Second, Logger: slog.New(slog.DiscardHandler)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(times)*opts.Every+opts.Every/2)
		defer cancel()
		require.NoError(t, paired.NewLosses(l.carrier, l.store, opts).Run(ctx))
	})
}

func (l losses) suspects(before time.Time, err error) *gomock.Call {
	return l.store.EXPECT().Suspects(gomock.Any(), age).Return(before, err)
}

func (l losses) marks(err error) *gomock.Call {
	return l.carrier.EXPECT().Mark(gomock.Any()).Return(l.mark, err)
}

func (l losses) passes(passed bool, err error) *gomock.Call {
	return l.mark.EXPECT().Passed(gomock.Any()).Return(passed, err)
}

func (l losses) ends(before time.Time, ended int, err error) *gomock.Call {
	return l.store.EXPECT().EndLost(gomock.Any(), before, 256).Return(ended, err)
}

func TestLossesAsksTheStoreAloneWhileNothingIsSuspect(t *testing.T) {
	t.Parallel()
	look(t, 3, func(l losses) { l.suspects(time.Time{}, nil).Times(3) })
}

func TestLossesEndsWhatIsOlderThanAMarkThatHasPassed(t *testing.T) {
	t.Parallel()
	later := noon.Add(5 * time.Second)
	look(t, 3, func(l losses) {
		gomock.InOrder(
			l.suspects(noon, nil), l.marks(nil), // the mark has all that is older
			l.suspects(later, nil), l.passes(false, nil),
			l.suspects(later, nil), l.passes(true, nil),
			l.ends(noon, 256, nil), l.ends(noon, 256, nil), l.ends(noon, 3, nil),
		)
	})
}

func TestLossesWaitsWhileItDoesNotKnow(t *testing.T) {
	t.Parallel()
	look(t, 7, func(l losses) {
		gomock.InOrder(
			l.suspects(time.Time{}, errBehind),
			l.suspects(noon, nil), l.marks(errAway),
			l.suspects(noon.Add(time.Second), nil), l.marks(nil),
			l.suspects(noon.Add(time.Second), nil), l.passes(true, errAway),
			l.suspects(time.Time{}, errBehind),
			l.suspects(noon.Add(time.Minute), nil), l.passes(true, nil),
			l.ends(noon.Add(time.Second), 0, errBehind), // and that again takes a mark of its own
			l.suspects(noon.Add(time.Minute), nil), l.marks(nil),
		)
	})
}

func TestLossesForgetsAMarkOnceNothingIsSuspect(t *testing.T) {
	t.Parallel()
	look(t, 3, func(l losses) {
		gomock.InOrder(
			l.suspects(noon, nil), l.marks(nil),
			l.suspects(time.Time{}, nil),
			l.suspects(noon.Add(time.Hour), nil), l.marks(nil),
		)
	})
}
