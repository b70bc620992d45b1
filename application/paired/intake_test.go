package paired_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang/mock/gomock"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application/paired"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/mocks"
)

var (
	errAway   = fmt.Errorf("%w: it is away", ports.ErrUnavailable)
	errBehind = fmt.Errorf("%w: the store is away", ports.ErrUnavailable)
)

// intake is one under test, and what it works with.
type intake struct {
	*paired.Intake

	queue *mocks.MockPublisher
	store *mocks.MockStore
	now   time.Time
}

func newIntake(t *testing.T) *intake {
	t.Helper()
	ctrl := gomock.NewController(t)
	in := &intake{queue: mocks.NewMockPublisher(ctrl), store: mocks.NewMockStore(ctrl), now: noon}
	in.Intake = paired.NewIntake(in.queue, in.store, func() time.Time { return in.now })
	return in
}

// creates lets the store answer to every creation.
func (in *intake) creates(answer func(c ports.Creation) ports.Created) *gomock.Call {
	return in.store.EXPECT().Create(gomock.Any(), gomock.Any()).DoAndReturn(
		func(_ context.Context, creations []ports.Creation) []ports.Created {
			created := make([]ports.Created, len(creations))
			for i, c := range creations {
				created[i] = answer(c)
			}
			return created
		})
}

// fresh is the answer to what is new.
func fresh(c ports.Creation) ports.Created {
	return ports.Created{Accepted: ports.Accepted{Record: domain.Record{ID: c.Request.ID}}, Unpublished: c.Carried}
}

func TestAcceptPublishesWhatIsDueAndFitsAMessage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give func(*domain.Request)
		want bool
	}{
		{"due", func(*domain.Request) {}, true},
		{"due since a while", func(r *domain.Request) { r.NotBefore = noon.Add(-time.Minute) }, true},
		{"delayed", func(r *domain.Request) { r.NotBefore = noon.Add(time.Millisecond) }, false},
		{"as large as may be", func(r *domain.Request) { r.Body = make([]byte, envelope.MaxInlineBody) }, true},
		{"too large", func(r *domain.Request) { r.Body = make([]byte, envelope.MaxInlineBody+1) }, false},
		{"that JSON cannot express", func(r *domain.Request) { r.Header = domain.Header{"X-A": {"\xff"}} }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			in, r := newIntake(t), newRequest("a")
			tt.give(&r)
			in.creates(func(c ports.Creation) ports.Created {
				require.Equal(t, tt.want, c.Carried)
				return fresh(c)
			})
			if tt.want {
				in.queue.EXPECT().Publish(gomock.Any(), gomock.Len(1)).Return([]error{nil})
			}
			require.Equal(t, []ports.Accepted{{Record: domain.Record{ID: "a"}}},
				in.Accept(t.Context(), []domain.Request{r}))
		})
	}
}

func TestAcceptPublishesTheMessage(t *testing.T) {
	t.Parallel()
	in, r := newIntake(t), newRequest("a")
	r.Priority = 9
	in.creates(fresh)
	in.queue.EXPECT().Publish(gomock.Any(), gomock.Any()).DoAndReturn(
		func(_ context.Context, messages []ports.QueueMessage) []error {
			require.Len(t, messages, 1)
			require.Equal(t, domain.ID("a"), messages[0].ID)
			require.Equal(t, domain.LaneHigh, messages[0].Lane)
			m, err := envelope.Decode(messages[0].Value, noon, len(messages[0].Value))
			require.NoError(t, err)
			require.Equal(t, r, m.Request)
			return []error{nil}
		})
	require.NoError(t, in.Accept(t.Context(), []domain.Request{r})[0].Err)
}

func TestAcceptReturnsTheErrorsOfStoreAndQueue(t *testing.T) {
	t.Parallel()
	in := newIntake(t)
	in.creates(func(c ports.Creation) ports.Created {
		if c.Request.ID == "full" {
			return ports.Created{Accepted: ports.Accepted{Err: ports.ErrFull}, Unpublished: true}
		}
		return fresh(c)
	})
	in.queue.EXPECT().Publish(gomock.Any(), gomock.Len(2)).Return([]error{errAway, nil})
	answers := in.Accept(t.Context(), []domain.Request{newRequest("full"), newRequest("lost"), newRequest("fine")})
	require.ErrorIs(t, answers[0].Err, ports.ErrFull)
	require.ErrorIs(t, answers[1].Err, ports.ErrUnavailable)
	require.Empty(t, answers[1].Record, "what is not confirmed has no record to show")
	require.Equal(t, ports.Accepted{Record: domain.Record{ID: "fine"}}, answers[2])
}

// TestAcceptKeepsWhatTheQueueNeverAccepts has a message that is larger than the broker's own limit.
func TestAcceptKeepsWhatTheQueueNeverAccepts(t *testing.T) {
	t.Parallel()
	for _, want := range []error{nil, errBehind} {
		in, r := newIntake(t), newRequest("a")
		in.creates(fresh)
		in.queue.EXPECT().Publish(gomock.Any(), gomock.Len(1)).Return([]error{ports.ErrTooLarge})
		in.store.EXPECT().Keep(gomock.Any(), []ports.Arrival{{Request: r}}).Return([]error{want})
		require.Equal(t, want, in.Accept(t.Context(), []domain.Request{r})[0].Err)
	}
}

// TestARepeatPublishesAgain has a repeat whose earlier request is not known to be in the queue: nobody has got a 202.
func TestARepeatPublishesAgain(t *testing.T) {
	t.Parallel()
	in, repeat := newIntake(t), withKey(newRequest("second"))
	first := domain.Record{ID: "first"}
	in.creates(func(ports.Creation) ports.Created {
		return ports.Created{Accepted: ports.Accepted{Outcome: ports.AcceptedSame, Record: first}, Unpublished: true}
	})
	in.queue.EXPECT().Publish(gomock.Any(), gomock.Any()).DoAndReturn(
		func(_ context.Context, messages []ports.QueueMessage) []error {
			require.Equal(t, domain.ID("first"), messages[0].ID)
			return []error{nil}
		})
	in.store.EXPECT().Published(gomock.Any(), gomock.Len(1)).DoAndReturn(
		func(_ context.Context, reqs []domain.Request) error {
			require.Equal(t, domain.ID("first"), reqs[0].ID)
			require.Equal(t, repeat.Idempotency, reqs[0].Idempotency)
			return errBehind // which nobody needs to know
		})
	answer := in.Accept(t.Context(), []domain.Request{repeat})[0]
	require.Equal(t, ports.Accepted{Outcome: ports.AcceptedSame, Record: first}, answer)
}

// TestARepeatThatFitsNoMessageIsKept has a repeat with a body or a delay that keeps it out of the queue.
func TestARepeatThatFitsNoMessageIsKept(t *testing.T) {
	t.Parallel()
	in, repeat := newIntake(t), withKey(newRequest("second"))
	repeat.Body = bytes.Repeat([]byte("x"), envelope.MaxInlineBody+1)
	in.creates(func(ports.Creation) ports.Created {
		return ports.Created{
			Accepted:    ports.Accepted{Outcome: ports.AcceptedSame, Record: domain.Record{ID: "first"}},
			Unpublished: true,
		}
	})
	kept := repeat
	kept.ID = "first"
	in.store.EXPECT().Keep(gomock.Any(), []ports.Arrival{{Request: kept}}).Return([]error{nil})
	require.NoError(t, in.Accept(t.Context(), []domain.Request{repeat})[0].Err)
}

func TestARepeatOfAPublishedRequestPublishesNothing(t *testing.T) {
	t.Parallel()
	in := newIntake(t)
	same := ports.Accepted{Outcome: ports.AcceptedSame, Record: domain.Record{ID: "first"}}
	in.creates(func(ports.Creation) ports.Created { return ports.Created{Accepted: same} })
	require.Equal(t, same, in.Accept(t.Context(), []domain.Request{withKey(newRequest("second"))})[0])
}

// TestConcurrentRepeatsPublishOneMessage has repeats that come while the first is being published, in the same call and
// in other calls. All of them get its outcome.
func TestConcurrentRepeatsPublishOneMessage(t *testing.T) {
	t.Parallel()
	for _, want := range []error{nil, errAway} {
		synctest.Test(t, func(t *testing.T) {
			in := newIntake(t)
			const others = 20
			in.creates(func(ports.Creation) ports.Created {
				return ports.Created{Accepted: ports.Accepted{Record: domain.Record{ID: "first"}}, Unpublished: true}
			}).Times(1 + others)
			publish := make(chan struct{})
			in.queue.EXPECT().Publish(gomock.Any(), gomock.Len(1)).DoAndReturn(
				func(context.Context, []ports.QueueMessage) []error {
					<-publish
					return []error{want}
				})
			in.store.EXPECT().Published(gomock.Any(), gomock.Len(1)).Return(nil).MaxTimes(1)
			repeat := withKey(newRequest("a"))
			var calls sync.WaitGroup
			for range others {
				calls.Go(func() {
					assert.Equal(t, want, in.Accept(t.Context(), []domain.Request{repeat})[0].Err)
				})
			}
			calls.Go(func() {
				for _, answer := range in.Accept(t.Context(), []domain.Request{repeat, repeat}) {
					assert.Equal(t, want, answer.Err)
				}
			})
			synctest.Wait() // all have come
			close(publish)
			calls.Wait()
		})
	}
}

// TestARepeatEndsWithItsOwnContext has a repeat whose time is over before the first is published.
func TestARepeatEndsWithItsOwnContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in, request := newIntake(t), withKey(newRequest("a"))
		in.creates(fresh).Times(2)
		publish := make(chan struct{})
		in.queue.EXPECT().Publish(gomock.Any(), gomock.Any()).DoAndReturn(
			func(context.Context, []ports.QueueMessage) []error {
				<-publish
				return []error{nil}
			})
		in.store.EXPECT().Published(gomock.Any(), gomock.Any()).Return(nil)
		first := make(chan error)
		go func() { first <- in.Accept(t.Context(), []domain.Request{request})[0].Err }()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, in.Accept(ctx, []domain.Request{request})[0].Err, ports.ErrUnavailable)
		close(publish)
		require.NoError(t, <-first)
	})
}

// TestSubmitsAreRejectedWhileTheQueueIsDown holds that an outage does not leave a record for each try. After one that
// failed, only a later submit tries the queue again.
func TestSubmitsAreRejectedWhileTheQueueIsDown(t *testing.T) {
	t.Parallel()
	in := newIntake(t)
	accept := func() error { return in.Accept(t.Context(), []domain.Request{newRequest("a")})[0].Err }
	tried := 0
	in.creates(func(c ports.Creation) ports.Created {
		tried++
		return fresh(c)
	}).AnyTimes()
	result := errAway
	in.queue.EXPECT().Publish(gomock.Any(), gomock.Any()).DoAndReturn(
		func(context.Context, []ports.QueueMessage) []error { return []error{result} }).AnyTimes()

	for range 10 {
		require.ErrorIs(t, accept(), ports.ErrUnavailable)
	}
	require.Equal(t, 1, tried)
	in.now = in.now.Add(time.Second)
	for range 10 {
		require.ErrorIs(t, accept(), ports.ErrUnavailable)
	}
	require.Equal(t, 2, tried)
	in.now, result = in.now.Add(time.Second), nil
	for range 10 {
		require.NoError(t, accept())
	}
	require.Equal(t, 12, tried)
}

// TestAPartialOutageRejectsNothing has a publish that fails late, after others have succeeded meanwhile.
func TestAPartialOutageRejectsNothing(t *testing.T) {
	t.Parallel()
	in := newIntake(t)
	in.creates(fresh).AnyTimes()
	accept := func(id domain.ID) error { return in.Accept(t.Context(), []domain.Request{newRequest(id)})[0].Err }
	in.queue.EXPECT().Publish(gomock.Any(), gomock.Any()).DoAndReturn(
		func(_ context.Context, messages []ports.QueueMessage) []error {
			if messages[0].ID != "unlucky" {
				return []error{nil}
			}
			in.now = in.now.Add(time.Second)
			require.NoError(t, accept("lucky"))
			in.now = in.now.Add(9 * time.Second)
			return []error{errAway}
		}).AnyTimes()
	require.ErrorIs(t, accept("unlucky"), errAway)
	require.NoError(t, accept("next"))
}

// TestACancelledCallerIsNoOutage publishes with a context that ends meanwhile.
func TestACancelledCallerIsNoOutage(t *testing.T) {
	t.Parallel()
	in := newIntake(t)
	in.creates(fresh).Times(2)
	ctx, giveUp := context.WithCancel(t.Context())
	in.queue.EXPECT().Publish(gomock.Any(), gomock.Any()).DoAndReturn(
		func(context.Context, []ports.QueueMessage) []error {
			giveUp()
			return []error{errAway}
		})
	in.queue.EXPECT().Publish(gomock.Any(), gomock.Any()).Return([]error{nil})
	require.ErrorIs(t, in.Accept(ctx, []domain.Request{newRequest("a")})[0].Err, ports.ErrUnavailable)
	require.NoError(t, in.Accept(t.Context(), []domain.Request{newRequest("b")})[0].Err)
}

func TestCancelAsksTheStore(t *testing.T) {
	t.Parallel()
	in := newIntake(t)
	in.store.EXPECT().Cancel(gomock.Any(), domain.ID("a")).Return(domain.Record{ID: "a"}, ports.ErrConflict)
	record, err := in.Cancel(t.Context(), "a")
	require.Equal(t, domain.ID("a"), record.ID)
	require.ErrorIs(t, err, ports.ErrConflict)
}

func TestAcceptConfirmsNothingThatTookSoLongThatItMayHaveEnded(t *testing.T) {
	t.Parallel()
	for took, want := range map[time.Duration]error{30 * time.Second: nil, 31 * time.Second: ports.ErrUnavailable} {
		in := newIntake(t)
		in.creates(fresh)
		in.queue.EXPECT().Publish(gomock.Any(), gomock.Len(1)).DoAndReturn(
			func(context.Context, []ports.QueueMessage) []error {
				in.now = in.now.Add(took)
				return []error{nil}
			})
		require.ErrorIs(t, in.Accept(t.Context(), []domain.Request{newRequest("a")})[0].Err, want, took)
	}
}
