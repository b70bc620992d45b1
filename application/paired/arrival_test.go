package paired_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang/mock/gomock"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestForeignMessagesAreReadWithCare(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name         string
		place        string
		give         string
		wantID       domain.ID
		wantEndpoint string
		wantAttempts int
	}{
		{"nothing said", "orders-3-42", `{"payload":1}`, "message-orders-3-42", "standard", 0},
		{"an id", "p", `{"correlation_id":"theirs","payload":1}`, "theirs", "standard", 0},
		{
			"an id that is none, at a place that makes none", "a place/with=signs", `{"correlation_id":"a b","payload":1}`,
			"message-b56a80cc6990431e08bab3e6df76f1d9f80638a611c6d653980b3ecee3268fd5", "standard", 0,
		},
		{"attempts", "p", `{"metadata":{"endpoint":"a","retry_count":2}}`, "message-p", "a", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWork(t)
				w.messages <- []ports.Received{raw(tt.place, []byte(tt.give))}
				w.consumer.EXPECT().Begin(gomock.Any(), gomock.Len(1)).DoAndReturn(
					func(_ context.Context, arrivals []ports.Arrival) []ports.Begun {
						r := arrivals[0].Request
						require.True(t, r.ID.Valid())
						require.Equal(t, tt.wantID, r.ID)
						require.Equal(t, tt.wantEndpoint, r.Endpoint)
						require.Equal(t, noon.Add(time.Hour), r.Deadline)
						require.Equal(t, tt.wantAttempts, arrivals[0].Attempts)
						return []ports.Begun{goOn}
					})
				w.receive(plenty(1))
			})
		})
	}
}

// TestAnUnreadableMessageBecomesADeadLetter holds that it is saved before the message is settled, and tried until then.
func TestAnUnreadableMessageBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]string{
		"no JSON": "hello", "an endpoint that cannot be": `{"metadata":{"endpoint":"a b"}}`,
		"a body that we do not keep": `{"correlation_id":"a","body_ref":"b"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWork(t)
				w.messages <- []ports.Received{raw("place", []byte(value))}
				reject := func(answer error) *gomock.Call {
					return w.store.EXPECT().Reject(gomock.Any(), gomock.Any()).DoAndReturn(
						func(_ context.Context, r ports.Rejection) error {
							require.True(t, r.Request.ID.Valid())
							require.False(t, r.Request.Deadline.IsZero())
							require.Equal(t, domain.ID("message-place"), r.Spare)
							require.Equal(t, domain.Original{Value: []byte(value)}, r.Original)
							require.Equal(t, domain.ReasonUndecodable, r.Reason)
							require.False(t, r.Whole)
							require.Error(t, r.Cause)
							w.requireSettled()
							return answer
						})
				}
				gomock.InOrder(reject(errBehind), reject(nil))
				w.nothing(plenty(1))
				w.requireSettled("place")
			})
		})
	}
}

// TestAMessageWithTheIDOfAnotherRequestBecomesADeadLetter has a store that finds out when it begins a message, and when
// it keeps one.
func TestAMessageWithTheIDOfAnotherRequestBecomesADeadLetter(t *testing.T) {
	t.Parallel()
	for name, learn := range map[string]func(w *work){
		"begun": func(w *work) { w.begins(ports.Begun{Verdict: ports.BegunIDUsed}) },
		"kept": func(w *work) {
			w.begins(ports.Begun{Verdict: ports.BegunKeep})
			w.keeps(ports.ErrIDUsed, "used")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWork(t)
				used := message("used")
				learn(w)
				w.store.EXPECT().Reject(gomock.Any(), gomock.Any()).DoAndReturn(
					func(_ context.Context, r ports.Rejection) error {
						require.Equal(t, domain.ID("message-used"), r.Request.ID)
						require.True(t, r.Whole)
						require.Equal(t, domain.Original{Value: used.Value}, r.Original)
						require.Equal(t, domain.ReasonIDConflict, r.Reason)
						require.ErrorIs(t, r.Cause, ports.ErrIDUsed)
						w.requireSettled()
						return nil
					})
				w.messages <- []ports.Received{used}
				w.nothing(plenty(1))
				w.requireSettled("used")
			})
		})
	}
}

// TestYieldKeepsWhatWasReceived has a call that ends after that, and a store that does not confirm one of the messages.
func TestYieldKeepsWhatWasReceived(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWork(t)
		w.messages <- []ports.Received{message("held"), message("waiting"), message("unlucky")}
		w.begins(goOn)
		require.Equal(t, []domain.ID{"held"}, w.receive(plenty(1)))
		w.requireSettled()

		gomock.InOrder(w.keeps(nil, "held"), w.keeps(errBehind, "waiting", "unlucky"))
		w.Yield(t.Context())
		w.requireSettled("held")
		gomock.InOrder(w.keeps(nil, "waiting", "unlucky"))
		w.Yield(t.Context())
		w.requireSettled("held", "waiting", "unlucky")

		w.saves("held", nil)
		require.NoError(t, w.finish("held", domain.Completed))
		w.requireSettled("held", "waiting", "unlucky") // once
	})
}

// TestCrowdedMessagesAreKept has a queue that wants a message back whose delivery runs, and one that waits.
func TestCrowdedMessagesAreKept(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWork(t)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- w.Run(ctx) }()

		crowded := make(chan struct{})
		held, waiting, fine := message("held"), message("waiting"), message("fine")
		held.Crowded, waiting.Crowded, fine.Crowded = crowded, crowded, make(chan struct{})
		w.messages <- []ports.Received{held, waiting, fine}
		w.begins(goOn)
		require.Equal(t, []domain.ID{"held"}, w.receive(plenty(1)))
		<-time.After(time.Minute)
		w.requireSettled()

		gomock.InOrder(w.keeps(errBehind, "held"), w.keeps(errBehind, "waiting"), w.keeps(nil, "held"),
			w.keeps(nil, "waiting"))
		close(crowded)
		<-time.After(time.Minute)
		w.requireSettled("held", "waiting")

		w.saves("held", nil)
		require.NoError(t, w.finish("held", domain.Completed))
		w.requireSettled("held", "waiting") // once
		w.begins(goOn)
		require.Equal(t, []domain.ID{"fine"}, w.receive(plenty(1)))
		stop()
		require.NoError(t, <-ended)
	})
}
