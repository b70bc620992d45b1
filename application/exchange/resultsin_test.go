package exchange_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang/mock/gomock"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application/exchange"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/mocks"
)

// resultsIn is one with mocks around it. What is sent to messages comes in.
type resultsIn struct {
	*exchange.ResultsIn

	source   *mocks.MockReceiver
	outcomes *mocks.MockOutcomes
	messages chan []ports.Received
	log      bytes.Buffer
}

func newResultsIn(t *testing.T) *resultsIn {
	t.Helper()
	control := gomock.NewController(t)
	in := &resultsIn{
		source: mocks.NewMockReceiver(control), outcomes: mocks.NewMockOutcomes(control),
		messages: make(chan []ports.Received),
	}
	handOut(in.source, in.messages)
	in.ResultsIn = exchange.NewResultsIn(in.source, in.outcomes, exchange.ResultsInOptions{
		MaxSize: 1 << 10, Now: time.Now, Logger: slog.New(slog.NewTextHandler(&in.log, nil)),
	})
	return in
}

// handOut lets a source hand out what is sent to messages, until that is closed.
func handOut(source *mocks.MockReceiver, messages <-chan []ports.Received) {
	source.EXPECT().Receive(gomock.Any(), gomock.Any(), gomock.Any()).DoAndReturn(
		func(ctx context.Context, _ int, _ int64) ([]ports.Received, error) {
			select {
			case received, open := <-messages:
				if !open {
					return nil, ports.ErrClosed
				}
				return received, nil
			case <-ctx.Done():
				return nil, context.Cause(ctx)
			}
		}).AnyTimes()
}

// start runs a loop until stop is called.
func start(t *testing.T, run func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	return func() {
		cancel()
		require.NoError(t, <-ended)
	}
}

func message(place, value string) ports.Received {
	return ports.Received{
		QueueMessage: ports.QueueMessage{Value: []byte(value)}, Place: place, Arrived: noon, Ticket: place,
	}
}

func completed(id domain.ID) string {
	return fmt.Sprintf(`{"correlation_id":%q,"status":"COMPLETED"}`, id)
}

// conclude expects that results of these requests are saved, and answers.
func (in *resultsIn) conclude(ids []domain.ID, errs ...error) *gomock.Call {
	return in.outcomes.EXPECT().Conclude(gomock.Any(), gomock.Any()).DoAndReturn(
		func(_ context.Context, conclusions []ports.Conclusion) []error {
			for i, c := range conclusions {
				if c.ID != ids[i] || len(conclusions) != len(ids) {
					panic(fmt.Sprintf("want %v, got %v", ids, conclusions))
				}
			}
			return errs
		})
}

func (in *resultsIn) settle(places ...ports.Ticket) *gomock.Call {
	return in.source.EXPECT().Settle(places)
}

func TestResultsAreSettledWhenTheyAreSaved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newResultsIn(t)
		gomock.InOrder(
			in.conclude([]domain.ID{"a", "b", "c"}, nil, ports.ErrUnavailable, nil),
			in.settle("p-1", "p-3"),
			in.conclude([]domain.ID{"b"}, ports.ErrUnavailable),
			in.conclude([]domain.ID{"b"}, nil),
			in.settle("p-2"),
		)
		stop := start(t, in.Run)
		in.messages <- []ports.Received{
			message("p-1", completed("a")), message("p-2", completed("b")), message("p-3", completed("c")),
		}
		<-time.After(time.Minute)
		stop()
		require.Empty(t, in.log.String())
	})
}

func TestResultsThatCannotBeReadAreRejected(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newResultsIn(t)
		reject := func(err error) *gomock.Call {
			return in.outcomes.EXPECT().RejectResult(gomock.Any(), gomock.Any()).DoAndReturn(
				func(_ context.Context, r ports.Rejection) error {
					require.Equal(t, domain.Request{ID: "result-p-1", SubmittedAt: noon, Deadline: noon}, r.Request)
					require.Equal(t, domain.Original{Value: []byte("oops")}, r.Original)
					require.Equal(t, domain.ID("result-p-1"), r.Spare)
					return err
				})
		}
		gomock.InOrder(
			reject(ports.ErrUnavailable),
			in.conclude([]domain.ID{"a"}, nil),
			in.settle("p-2"),
			reject(nil),
			in.settle("p-1"),
		)
		stop := start(t, in.Run)
		in.messages <- []ports.Received{message("p-1", "oops"), message("p-2", completed("a"))}
		<-time.After(time.Minute)
		stop()
	})
}

func TestResultsAreReadWithCare(t *testing.T) {
	t.Parallel()
	const long = `{"correlation_id":"a","status":"COMPLETED","result":"`
	for give, want := range map[string]struct {
		ended domain.ID // the request that ends FAILED
		cause string
	}{
		"":                       {"", "the message has no value"},
		"oops":                   {"", "JSON"},
		`{"status":"COMPLETED"}`: {"", "names no request"},
		`{"correlation_id":"a"}`: {"a", "status"},
		`{"correlation_id":"a","status":"completed"}`:                                  {"a", "status"},
		`{"correlation_id":"a","status":"PROCESSING"}`:                                 {"", "status"},
		`{"correlation_id":"a","status":"COMPLETED","status_code":"200"}`:              {"a", "status_code"},
		`{"correlation_id":"a","status":"COMPLETED","result_url":"http://127.0.0.1/"}`: {"a", "result_url"},
		long + strings.Repeat("x", 1<<10) + `"}`:                                       {"a", "longer"},
	} {
		synctest.Test(t, func(t *testing.T) {
			in := newResultsIn(t)
			m := message("p", give)
			if give == "" {
				m.Value = nil
			}
			calls := []*gomock.Call{in.outcomes.EXPECT().RejectResult(gomock.Any(), gomock.Any()).DoAndReturn(
				func(_ context.Context, r ports.Rejection) error {
					require.Equal(t, domain.ID("result-p"), r.Request.ID)
					require.Equal(t, domain.Original{Value: m.Value}, r.Original)
					require.ErrorContains(t, r.Cause, want.cause)
					return nil
				})}
			if want.ended != "" {
				calls = append(calls, in.outcomes.EXPECT().Conclude(gomock.Any(), gomock.Len(1)).DoAndReturn(
					func(_ context.Context, conclusions []ports.Conclusion) []error {
						c := conclusions[0]
						require.Equal(t, want.ended, c.ID)
						require.Equal(t, domain.Failed, c.Status)
						require.Equal(t, domain.ReasonBadResult, c.Result.Reason)
						require.Contains(t, c.Result.Error, want.cause)
						require.Contains(t, c.Result.Error, "dead letter result-p")
						require.False(t, c.Result.CompletedAt.IsZero())
						return []error{nil}
					}))
			}
			gomock.InOrder(append(calls, in.settle("p"))...)
			stop := start(t, in.Run)
			in.messages <- []ports.Received{m}
			synctest.Wait()
			stop()
		})
	}
}

func TestResultsOfUnknownRequestsAreSettledAndLoggedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newResultsIn(t)
		stop := start(t, in.Run)
		for range 10 {
			in.conclude([]domain.ID{"a"}, ports.ErrNotFound)
			in.settle("p-1")
			in.messages <- []ports.Received{message("p-1", completed("a"))}
			synctest.Wait()
		}
		stop()
		require.Equal(t, 1, strings.Count(in.log.String(), "results of unknown requests"))
	})
}

// TestResultsInEnds also holds that it does so while the store is away, and settles nothing.
func TestResultsInEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newResultsIn(t)
		in.outcomes.EXPECT().Conclude(gomock.Any(), gomock.Len(1)).Return([]error{ports.ErrUnavailable}).MinTimes(2)
		stop := start(t, in.Run)
		in.messages <- []ports.Received{message("p-1", completed("a"))}
		<-time.After(time.Minute)
		stop()

		close(in.messages)
		require.ErrorIs(t, in.Run(t.Context()), ports.ErrClosed)
	})
}
