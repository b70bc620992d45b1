package application_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang/mock/gomock"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/mocks"
)

// mover is a move under test. Its stores remember their marks.
type mover struct {
	from, to         *mocks.MockMovable
	fromMark, toMark ports.MoveMark
	users            map[string][]string // at "from" and "to", what uses the store at each look; then nothing
	same             bool
	opts             application.MoveOptions
}

func newMover(t *testing.T) *mover {
	t.Helper()
	ctrl := gomock.NewController(t)
	m := &mover{from: mocks.NewMockMovable(ctrl), to: mocks.NewMockMovable(ctrl), users: make(map[string][]string)}
	m.opts = application.MoveOptions{
		From: application.MoveSide{Name: "from", Store: m.from}, To: application.MoveSide{Name: "to", Store: m.to},
		Patience: 10 * time.Second, NewMove: func() string { return "this" }, Progress: func(application.MoveSum) {},
	}
	m.party(m.from, "from", func() *ports.MoveMark { return &m.fromMark })
	m.party(m.to, "to", func() *ports.MoveMark {
		if m.same {
			return &m.fromMark
		}
		return &m.toMark
	})
	return m
}

func (m *mover) party(store *mocks.MockMovable, name string, mark func() *ports.MoveMark) {
	store.EXPECT().Mark(gomock.Any()).DoAndReturn(func(context.Context) (ports.MoveMark, error) {
		return *mark(), nil
	}).AnyTimes()
	store.EXPECT().SetMark(gomock.Any(), gomock.Any()).DoAndReturn(func(_ context.Context, next ports.MoveMark) error {
		*mark() = next
		return nil
	}).AnyTimes()
	store.EXPECT().Users(gomock.Any()).DoAndReturn(func(context.Context) (string, error) {
		if len(m.users[name]) == 0 {
			return "", nil
		}
		users := m.users[name][0]
		m.users[name] = m.users[name][1:]
		return users, nil
	}).AnyTimes()
}

// exports lets the source hand out batches.
func (m *mover) exports(batches ...[]ports.Stored) {
	m.from.EXPECT().Export(gomock.Any(), gomock.Any()).DoAndReturn(
		func(_ context.Context, visit func([]ports.Stored) error) error {
			for _, batch := range batches {
				if err := visit(batch); err != nil {
					return err
				}
			}
			return nil
		})
}

func (m *mover) run(t *testing.T) (application.MoveSum, error) {
	t.Helper()
	return application.NewMove(m.opts).Run(t.Context())
}

// Some things that a store may have.
func storedReady(id domain.ID) ports.Stored {
	return ports.Stored{ID: id, Record: &domain.Record{ID: id, Status: domain.Pending}, Request: &domain.Request{ID: id}}
}

func storedDelayed(id domain.ID) ports.Stored {
	one := storedReady(id)
	one.Record.NextAttemptAt = time.Unix(9e9, 0)
	return one
}

func storedFailed(id domain.ID) ports.Stored {
	return ports.Stored{
		ID: id, Record: &domain.Record{ID: id, Status: domain.Failed}, Letter: &ports.StoredLetter{},
		Key: &ports.StoredIdempotency{},
	}
}

func TestAMoveRemovesWhatTheTargetHasAndNothingElse(t *testing.T) {
	t.Parallel()
	m := newMover(t)
	a, b, c, d := storedReady("a"), storedDelayed("b"), storedFailed("c"), storedReady("d")
	m.exports([]ports.Stored{a, b}, []ports.Stored{c, d})
	gomock.InOrder(
		m.to.EXPECT().Import(gomock.Any(), []ports.Stored{a, b}).DoAndReturn(
			func(context.Context, []ports.Stored) []error {
				require.Equal(t, ports.MoveMark{State: ports.MoveLeaving, Move: "this", Peer: "to"}, m.fromMark)
				require.Equal(t, ports.MoveMark{State: ports.MoveArriving, Move: "this", Peer: "from"}, m.toMark)
				return []error{nil, nil}
			}),
		m.from.EXPECT().Remove(gomock.Any(), []ports.Stored{a, b}).Return(nil),
		m.to.EXPECT().Import(gomock.Any(), []ports.Stored{c, d}).Return([]error{nil, nil}),
		m.from.EXPECT().Remove(gomock.Any(), []ports.Stored{c, d}).Return(nil),
	)
	sum, err := m.run(t)
	require.NoError(t, err)
	require.Equal(t, application.MoveSum{Ready: 2, Delayed: 1, Final: 1, DeadLetters: 1, Keys: 1}, sum)
	require.Equal(t, 5, sum.Total())
	require.Equal(t, ports.MoveMark{State: ports.MoveLeft, Move: "this", Peer: "to"}, m.fromMark)
	require.Zero(t, m.toMark)
}

func TestAMoveThatFailsLeavesTheMarks(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(m *mover, a ports.Stored){
		"import": func(m *mover, _ ports.Stored) {
			m.to.EXPECT().Import(gomock.Any(), gomock.Any()).Return([]error{errBroken})
		},
		"remove": func(m *mover, a ports.Stored) {
			m.to.EXPECT().Import(gomock.Any(), gomock.Any()).Return([]error{nil})
			m.from.EXPECT().Remove(gomock.Any(), []ports.Stored{a}).Return(errBroken)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMover(t)
			a := storedReady("a")
			m.exports([]ports.Stored{a})
			fail(m, a)
			_, err := m.run(t)
			require.ErrorIs(t, err, errBroken)
			require.Equal(t, ports.MoveLeaving, m.fromMark.State)
			require.Equal(t, ports.MoveArriving, m.toMark.State)

			m.exports()
			_, err = m.run(t)
			require.NoError(t, err, "it may be run again")
		})
	}
}

func TestWhatOnlyACarrierHasIsNeverMoved(t *testing.T) {
	t.Parallel()
	m := newMover(t)
	carried := storedReady("a")
	carried.Request = nil
	m.exports([]ports.Stored{carried})
	_, err := m.run(t)
	require.ErrorIs(t, err, ports.ErrNotMovable)

	m.exports([]ports.Stored{carried}, []ports.Stored{carried})
	sum, err := application.NewMove(m.opts).Count(t.Context())
	require.NoError(t, err)
	require.Equal(t, application.MoveSum{Carried: 1}, sum, "handed out again, it is the same")
}

// TestWhatIsInUseStays holds that both stores can be used afterwards.
func TestWhatIsInUseStays(t *testing.T) {
	t.Parallel()
	m := newMover(t)
	a, b := storedReady("a"), storedReady("b")
	m.exports([]ports.Stored{a, b})
	m.to.EXPECT().Import(gomock.Any(), gomock.Any()).Return([]error{ports.ErrConflict, nil})
	m.from.EXPECT().Remove(gomock.Any(), []ports.Stored{b}).Return(nil)
	sum, err := m.run(t)
	require.ErrorIs(t, err, ports.ErrNotMovable)
	require.ErrorContains(t, err, "1 stay at from")
	require.Equal(t, application.MoveSum{Ready: 1, InUse: 1}, sum)
	require.Zero(t, m.fromMark)
	require.Zero(t, m.toMark)
}

func TestAMoveWaitsUntilNothingUsesTheStores(t *testing.T) {
	t.Parallel()
	for _, side := range []string{"from", "to"} {
		synctest.Test(t, func(t *testing.T) {
			m := newMover(t)
			m.users[side] = []string{"a worker", "a worker"}
			m.exports()
			_, err := m.run(t)
			require.NoError(t, err)

			m = newMover(t)
			for range 100 {
				m.users[side] = append(m.users[side], "a worker")
			}
			_, err = m.run(t)
			require.ErrorIs(t, err, ports.ErrNotMovable)
			require.ErrorContains(t, err, "at "+side+" a worker")
			require.Zero(t, m.fromMark)
			require.Zero(t, m.toMark)

			m = newMover(t)
			m.users[side] = []string{"", "a worker that has just started"}
			_, err = m.run(t)
			require.ErrorIs(t, err, ports.ErrNotMovable)
			require.Zero(t, m.fromMark)
			require.Zero(t, m.toMark)
		})
	}
}

func TestAMoveIsNotMixedWithAnother(t *testing.T) {
	t.Parallel()
	mark := func(state ports.MoveState, peer string) ports.MoveMark {
		return ports.MoveMark{State: state, Move: "earlier", Peer: peer}
	}
	for name, tt := range map[string]struct {
		from, to ports.MoveMark
		want     string // of the error; empty: it goes on
	}{
		"the same, again":         {from: mark(ports.MoveLeaving, "to"), to: mark(ports.MoveArriving, "from")},
		"the same, begun":         {from: mark(ports.MoveLeaving, "to")},
		"the same, almost ended":  {from: mark(ports.MoveLeft, "to"), to: mark(ports.MoveArriving, "from")},
		"back, before it ended":   {from: mark(ports.MoveArriving, "to"), to: mark(ports.MoveLeaving, "from")},
		"back, after it ended":    {to: mark(ports.MoveLeft, "from")},
		"into an emptied store":   {to: mark(ports.MoveLeft, "another")},
		"from one that was moved": {from: mark(ports.MoveLeft, "another"), want: "has been moved to another already"},
		"from one that is moved":  {from: mark(ports.MoveLeaving, "another"), want: "between from and another has not"},
		"from one that is filled": {from: mark(ports.MoveArriving, "another"), want: "between from and another has not"},
		"into one that is moved":  {to: mark(ports.MoveLeaving, "another"), want: "between to and another has not"},
		"into one that is filled": {to: mark(ports.MoveArriving, "another"), want: "between to and another has not"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMover(t)
			m.fromMark, m.toMark = tt.from, tt.to
			if tt.want == "" {
				m.exports()
				_, err := m.run(t)
				require.NoError(t, err)
				require.Equal(t, ports.MoveLeft, m.fromMark.State)
				require.Zero(t, m.toMark)
				return
			}
			_, err := m.run(t)
			require.ErrorIs(t, err, ports.ErrNotMovable)
			require.ErrorContains(t, err, tt.want)
			require.Equal(t, tt.from, m.fromMark)
			require.Equal(t, tt.to, m.toMark)
		})
	}
}

// TestWithOneStoreOnlyTheCarrierIsDrained has another carrier for the same store, and is cut off once.
func TestWithOneStoreOnlyTheCarrierIsDrained(t *testing.T) {
	t.Parallel()
	m := newMover(t)
	m.same = true
	var steps []string
	failure := errBroken
	m.opts.Ready = func(context.Context) error { steps = append(steps, "ready"); return nil }
	m.opts.Drain = func(context.Context) error {
		require.Equal(t, ports.MoveLeaving, m.fromMark.State)
		steps = append(steps, "drain")
		return failure
	}
	m.opts.Adopt = func(context.Context) error { steps = append(steps, "adopt"); return nil }
	_, err := m.run(t)
	require.ErrorIs(t, err, errBroken)
	require.Equal(t, ports.MoveLeaving, m.fromMark.State)
	failure = nil
	_, err = m.run(t)
	require.NoError(t, err)
	require.Zero(t, m.fromMark)
	require.Equal(t, []string{"ready", "drain", "ready", "drain", "adopt"}, steps)
}

func TestStoresThatAreNotReadyStayAsTheyAre(t *testing.T) {
	t.Parallel()
	fail := func(context.Context) error { return errBroken }
	for name, set := range map[string]func(*application.MoveOptions){
		"source": func(o *application.MoveOptions) { o.Ready = fail },
		"target": func(o *application.MoveOptions) { o.Adopt = fail },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := newMover(t)
			set(&m.opts)
			m.opts.Drain = func(context.Context) error { panic("not before both are ready") }
			_, err := m.run(t)
			require.ErrorIs(t, err, errBroken)
			require.Zero(t, m.fromMark)
			require.Zero(t, m.toMark)
		})
	}
}
