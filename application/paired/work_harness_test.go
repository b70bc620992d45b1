package paired_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
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

// work is one under test. Its queue hands out what is sent to messages, its store what is sent to ready. Both block
// while there is nothing.
type work struct {
	*paired.Work

	t        *testing.T
	queue    *mocks.MockReceiver
	store    *mocks.MockStore
	consumer *mocks.MockStoreWork
	messages chan []ports.Received
	ready    chan []ports.Delivery

	mu      sync.Mutex
	settled []ports.Ticket
}

func newWork(t *testing.T) *work {
	t.Helper()
	ctrl := gomock.NewController(t)
	w := &work{
		t: t, queue: mocks.NewMockReceiver(ctrl), store: mocks.NewMockStore(ctrl), consumer: mocks.NewMockStoreWork(ctrl),
		messages: make(chan []ports.Received, 10), ready: make(chan []ports.Delivery, 10),
	}
	documents := envelope.Reader{DefaultEndpoint: "standard", MaxAge: time.Hour, MaxSize: 1 << 20}
	reader := exchange.NewReader(
		func() envelope.Reader { return documents }, time.Now, slog.New(slog.DiscardHandler))
	w.Work = paired.NewWork(reader, w.queue, w.store, w.consumer)
	w.queue.EXPECT().Receive(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(
		func(ctx context.Context, _ int, _ int64) ([]ports.Received, error) { return next(ctx, w.messages) }).AnyTimes()
	w.consumer.EXPECT().Receive(gomock.Any(), gomock.Any()).DoAndReturn(
		func(ctx context.Context, _ ports.Credit) ([]ports.Delivery, error) { return next(ctx, w.ready) }).AnyTimes()
	w.consumer.EXPECT().Take(gomock.Any(), gomock.Any()).DoAndReturn(
		func(context.Context, ports.Credit) ([]ports.Delivery, error) {
			select {
			case deliveries := <-w.ready:
				return deliveries, nil
			default:
				return nil, nil
			}
		}).AnyTimes()
	w.queue.EXPECT().Settle(gomock.Any()).Do(func(tickets []ports.Ticket) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.settled = append(w.settled, tickets...)
	}).AnyTimes()
	return w
}

// next returns what comes first; a closed channel means that what it stands for is closed.
func next[T any](ctx context.Context, from <-chan []T) ([]T, error) {
	select {
	case items, open := <-from:
		if !open {
			return nil, ports.ErrClosed
		}
		return items, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// message is one of ours.
func message(id domain.ID, change ...func(*domain.Request)) ports.Received {
	r := newRequest(id)
	for _, c := range change {
		c(&r)
	}
	return raw(string(id), envelope.Append(nil, &envelope.Message{Request: r}))
}

// raw is a foreign message. Its ticket is its place.
func raw(place string, value []byte) ports.Received {
	return ports.Received{
		QueueMessage: ports.QueueMessage{Value: value}, Place: place, Arrived: noon, Ticket: place,
	}
}

func plenty(count int) ports.Credit { return ports.Credit{Count: count, Bytes: 1 << 40} }

// receive gets the ids of what is handed out.
func (w *work) receive(credit ports.Credit) []domain.ID {
	w.t.Helper()
	deliveries, err := w.Receive(w.t.Context(), credit)
	require.NoError(w.t, err)
	ids := make([]domain.ID, len(deliveries))
	for i := range deliveries {
		ids[i] = deliveries[i].Request.ID
	}
	return ids
}

// nothing receives until there is nothing more to look at.
func (w *work) nothing(credit ports.Credit) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Minute) // of a clock that is moved by waiting
	defer cancel()
	deliveries, err := w.Receive(ctx, credit)
	require.Empty(w.t, deliveries)
	require.ErrorIs(w.t, err, context.DeadlineExceeded)
}

// begins lets the store answer once to arrivals with these ids.
func (w *work) begins(answers ...ports.Begun) *gomock.Call {
	return w.consumer.EXPECT().Begin(gomock.Any(), gomock.Len(len(answers))).DoAndReturn(
		func(_ context.Context, arrivals []ports.Arrival) []ports.Begun {
			begun := make([]ports.Begun, len(arrivals))
			for i, a := range arrivals {
				begun[i] = answers[i]
				if begun[i].Err == nil && begun[i].Verdict == ports.BegunGo {
					begun[i].Delivery.Request = a.Request
					begun[i].Delivery.Token = "token of " + string(a.Request.ID)
				}
			}
			return begun
		})
}

// keeps lets the store keep arrivals with these ids, or not.
func (w *work) keeps(err error, ids ...domain.ID) *gomock.Call {
	return w.store.EXPECT().Keep(gomock.Any(), gomock.Len(len(ids))).DoAndReturn(
		func(_ context.Context, arrivals []ports.Arrival) []error {
			errs := make([]error, len(arrivals))
			for i, a := range arrivals {
				require.Equal(w.t, ids[i], a.Request.ID)
				require.Equal(w.t, []byte("body"), a.Request.Body)
				errs[i] = err
			}
			return errs
		})
}

// finish finishes what has that id.
func (w *work) finish(id domain.ID, status domain.Status) error {
	w.t.Helper()
	errs := w.Finish(w.t.Context(), []ports.Finish{{
		ID: id, Token: "token of " + string(id), Outcome: domain.Outcome{Status: status},
	}})
	require.Len(w.t, errs, 1)
	return errs[0]
}

// saves lets the store answer to the finish of a request that the queue carries.
func (w *work) saves(id domain.ID, err error) {
	w.consumer.EXPECT().Finish(gomock.Any(), gomock.Len(1)).DoAndReturn(
		func(_ context.Context, finishes []ports.Finish) []error {
			require.Equal(w.t, id, finishes[0].ID)
			require.NotNil(w.t, finishes[0].Original)
			require.Equal(w.t, id, finishes[0].Original.ID)
			return []error{err}
		})
}

func (w *work) requireSettled(want ...ports.Ticket) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	require.ElementsMatch(w.t, want, w.settled)
}
