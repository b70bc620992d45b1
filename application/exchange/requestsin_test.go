package exchange_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang/mock/gomock"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/application/exchange"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/mocks"
)

// requestsIn is one with mocks around it. What is sent to messages comes in.
type requestsIn struct {
	*exchange.RequestsIn

	source   *mocks.MockReceiver
	intake   *mocks.MockForeignIntake
	messages chan []ports.Received
}

func newRequestsIn(t *testing.T) *requestsIn {
	t.Helper()
	control := gomock.NewController(t)
	in := &requestsIn{
		source: mocks.NewMockReceiver(control), intake: mocks.NewMockForeignIntake(control),
		messages: make(chan []ports.Received),
	}
	handOut(in.source, in.messages)
	in.RequestsIn = exchange.NewRequestsIn(in.source, in.intake, func() envelope.Reader {
		return envelope.Reader{DefaultEndpoint: "standard", MaxAge: time.Hour, MaxSize: 1000}
	})
	return in
}

// accepts expects that requests are saved, and answers.
func (in *requestsIn) accepts(errs ...error) *gomock.Call {
	return in.intake.EXPECT().AcceptForeign(gomock.Any(), gomock.Len(len(errs))).Return(errs)
}

func TestForeignMessagesAreReadWithCare(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		place, give  string // no give: no value
		wantID       domain.ID
		wantEndpoint string
		wantAttempts int
		wantErr      string
	}{
		{"nothing said", "1767323045000-7", `{"payload":1}`, "stream-1767323045000-7", "standard", 0, ""},
		{"an id", "p", `{"correlation_id":"mine"}`, "mine", "standard", 0, ""},
		{
			"an id that is none, at a place that makes none", "a place/with=signs", `{"correlation_id":"a b"}`,
			"stream-b56a80cc6990431e08bab3e6df76f1d9f80638a611c6d653980b3ecee3268fd5", "standard", 0, "",
		},
		{"an endpoint", "p", `{"metadata":{"endpoint":"a"}}`, "stream-p", "a", 0, ""},
		{"attempts", "p", `{"correlation_id":"mine","metadata":{"retry_count":2}}`, "mine", "standard", 2, ""},
		{
			"another name than there are", "p", `{"correlation_id":"mine","metadata":{"endpoint":"a/b"}}`,
			"mine", "", 0, "names an endpoint",
		},
		{
			"a name that is too long, and a reference", "p",
			`{"correlation_id":"mine","body_ref":"x","metadata":{"endpoint":"` + strings.Repeat("a", 65) + `"}}`,
			"mine", "", 0, "names an endpoint",
		},
		{
			"the longest name", "p",
			`{"correlation_id":"mine","metadata":{"endpoint":"` + strings.Repeat("Z", 60) + `.0_-"}}`,
			"mine", strings.Repeat("Z", 60) + ".0_-", 0, "",
		},
		{"a reference", "p", `{"correlation_id":"mine","body_ref":"x"}`, "mine", "standard", 0, "body_ref"},
		{"no JSON", "p", `oops`, "stream-p", "", 0, "JSON"},
		{"too long", "p", `{"payload":"` + string(make([]byte, 2000)) + `"}`, "stream-p", "", 0, "longer"},
		{"no value", "p", "", "stream-p", "", 0, "the message has no value"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				in := newRequestsIn(t)
				m := message(tt.place, tt.give)
				if tt.give == "" {
					m.Value = nil
				}
				check := func(r domain.Request) {
					require.Equal(t, tt.wantID, r.ID)
					require.Equal(t, tt.wantEndpoint, r.Endpoint)
					require.Equal(t, noon, r.SubmittedAt)
					require.Equal(t, noon.Add(time.Hour), r.Deadline)
				}
				if tt.wantErr == "" {
					in.intake.EXPECT().AcceptForeign(gomock.Any(), gomock.Len(1)).DoAndReturn(
						func(_ context.Context, arrivals []ports.Arrival) []error {
							check(arrivals[0].Request)
							require.Equal(t, tt.wantAttempts, arrivals[0].Attempts)
							return []error{nil}
						})
				} else {
					in.intake.EXPECT().Reject(gomock.Any(), gomock.Any(), m.Value, gomock.Any()).DoAndReturn(
						func(_ context.Context, r domain.Request, _ []byte, cause error) error {
							check(r)
							require.ErrorContains(t, cause, tt.wantErr)
							return nil
						})
				}
				in.source.EXPECT().Settle([]ports.Ticket{tt.place})
				stop := start(t, in.Run)
				in.messages <- []ports.Received{m}
				synctest.Wait()
				stop()
			})
		})
	}
}

// TestForeignRequestsAreSettledWhenTheyAreSaved has a store that is full for a while, and one message that it does not
// reject at once.
func TestForeignRequestsAreSettledWhenTheyAreSaved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newRequestsIn(t)
		reject := func(err error) *gomock.Call {
			return in.intake.EXPECT().Reject(gomock.Any(), gomock.Any(), []byte("oops"), gomock.Any()).Return(err)
		}
		gomock.InOrder(
			reject(ports.ErrUnavailable), in.accepts(nil, ports.ErrFull), in.source.EXPECT().Settle([]ports.Ticket{"p-1"}),
			reject(nil), in.accepts(ports.ErrFull), in.source.EXPECT().Settle([]ports.Ticket{"p-2"}),
			in.accepts(nil), in.source.EXPECT().Settle([]ports.Ticket{"p-3"}),
		)
		stop := start(t, in.Run)
		in.messages <- []ports.Received{
			message("p-1", "{}"), message("p-2", "oops"), message("p-3", "{}"),
		}
		<-time.After(time.Minute)
		stop()
	})
}

// TestASaveUnderWayIsNotCutOff has a loop that ends while its store saves.
func TestASaveUnderWayIsNotCutOff(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newRequestsIn(t)
		saving, saved := make(chan struct{}), make(chan struct{})
		in.intake.EXPECT().AcceptForeign(gomock.Any(), gomock.Len(1)).DoAndReturn(
			func(ctx context.Context, _ []ports.Arrival) []error {
				close(saving)
				<-saved
				return []error{ctx.Err()}
			})
		in.source.EXPECT().Settle([]ports.Ticket{"p-1"})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- in.Run(ctx) }()
		in.messages <- []ports.Received{message("p-1", "{}")}
		<-saving
		cancel()
		close(saved)
		require.NoError(t, <-ended)
	})
}

// TestRequestsInEnds also holds that it does so while the store is away, and that a source that is closed is an error.
func TestRequestsInEnds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newRequestsIn(t)
		in.accepts(ports.ErrUnavailable).MinTimes(2)
		stop := start(t, in.Run)
		in.messages <- []ports.Received{message("p-1", "{}")}
		<-time.After(time.Minute)
		stop()

		close(in.messages)
		require.ErrorIs(t, in.Run(t.Context()), ports.ErrClosed)
	})
}
