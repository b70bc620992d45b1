package exchange_test

import (
	"bytes"
	"context"
	"log/slog"
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
	log      bytes.Buffer
}

func newRequestsIn(t *testing.T) *requestsIn {
	t.Helper()
	control := gomock.NewController(t)
	in := &requestsIn{
		source: mocks.NewMockReceiver(control), intake: mocks.NewMockForeignIntake(control),
		messages: make(chan []ports.Received),
	}
	handOut(in.source, in.messages)
	documents := envelope.Reader{DefaultEndpoint: "standard", MaxAge: time.Hour, MaxSize: 1000}
	in.RequestsIn = exchange.NewRequestsIn(in.source, in.intake, exchange.NewReader(
		func() envelope.Reader { return documents }, time.Now, slog.New(slog.NewTextHandler(&in.log, nil))))
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
		{"an id", "p", `{"correlation_id":"mine","payload":1}`, "mine", "standard", 0, ""},
		{
			"an id that is none, at a place that makes none", "a place/with=signs", `{"correlation_id":"a b","payload":1}`,
			"stream-b56a80cc6990431e08bab3e6df76f1d9f80638a611c6d653980b3ecee3268fd5", "standard", 0, "",
		},
		{"an endpoint", "p", `{"metadata":{"endpoint":"a"}}`, "stream-p", "a", 0, ""},
		{"attempts", "p", `{"correlation_id":"mine","payload":1,"metadata":{"retry_count":2}}`, "mine", "standard", 2, ""},
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
		{"no request", "p", `{"correlation_id":"mine","data":{}}`, "mine", "", 0, "is no request"},
		{
			"an id with a fault beside it", "p", `{"correlation_id":"mine","payload":1,"metadata":{"priority":99}}`,
			"mine", "", 0, "metadata.priority",
		},
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
					in.intake.EXPECT().Reject(gomock.Any(), gomock.Any()).DoAndReturn(
						func(_ context.Context, r ports.Rejection) error {
							check(r.Request)
							require.ErrorContains(t, r.Cause, tt.wantErr)
							require.Equal(t, domain.Original{Value: m.Value}, r.Original)
							require.Equal(t, domain.ReasonUndecodable, r.Reason)
							require.False(t, r.Whole)
							require.Equal(t, domain.ID("stream-p"), r.Spare)
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

func TestAnEntryWithoutOurFieldIsRejectedWithItsFields(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newRequestsIn(t)
		fields := []domain.Field{{Name: "data", Value: `{"payload":1}`}, {Name: "data", Value: "\xff"}}
		in.intake.EXPECT().Reject(gomock.Any(), gomock.Any()).DoAndReturn(
			func(_ context.Context, r ports.Rejection) error {
				require.Equal(t, domain.Original{Fields: fields}, r.Original)
				require.EqualError(t, r.Cause, `the entry has no field "payload"`)
				return nil
			})
		in.source.EXPECT().Settle([]ports.Ticket{"p"})
		stop := start(t, in.Run)
		in.messages <- []ports.Received{{Fields: fields, Place: "p", Arrived: noon, Ticket: "p"}}
		synctest.Wait()
		stop()
	})
}

// TestAUsedIDIsToldAndNothingIsLost has a store that is away when it is to save the dead letter.
func TestAUsedIDIsToldAndNothingIsLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newRequestsIn(t)
		m := message("p", `{"correlation_id":"mine","payload":2}`)
		reject := func(err error) *gomock.Call {
			return in.intake.EXPECT().Reject(gomock.Any(), gomock.Any()).DoAndReturn(
				func(_ context.Context, r ports.Rejection) error {
					require.Equal(t, domain.ID("stream-p"), r.Request.ID)
					require.Equal(t, "2", string(r.Request.Body))
					require.True(t, r.Whole)
					require.Equal(t, domain.Original{Value: m.Value}, r.Original)
					require.Equal(t, domain.ReasonIDConflict, r.Reason)
					require.EqualError(t, r.Cause, "the id belongs to another request: mine")
					return err
				})
		}
		gomock.InOrder(
			in.accepts(ports.ErrIDUsed), reject(ports.ErrUnavailable),
			in.accepts(ports.ErrIDUsed), reject(nil), in.source.EXPECT().Settle([]ports.Ticket{"p"}),
		)
		stop := start(t, in.Run)
		in.messages <- []ports.Received{m}
		<-time.After(time.Minute)
		stop()
	})
}

func TestMembersThatAreIgnoredAreLoggedOnceAMinute(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newRequestsIn(t)
		in.accepts(nil).AnyTimes()
		in.source.EXPECT().Settle(gomock.Any()).AnyTimes()
		stop := start(t, in.Run)
		for range 3 {
			in.messages <- []ports.Received{message("p", `{"payload":1,"metadata":{"endpont":"a"}}`)}
			in.messages <- []ports.Received{message("p", `{"payload":1}`)}
			<-time.After(25 * time.Second)
		}
		<-time.After(time.Minute)
		in.messages <- []ports.Received{message("p", `{"payload":1,"metadata":{"endpont":"a"}}`)}
		synctest.Wait()
		stop()
		lines := strings.Split(strings.TrimSpace(in.log.String()), "\n")
		require.Len(t, lines, 2, in.log.String())
		require.Contains(t, lines[0], "count=1 correlation_id=stream-p members=[metadata.endpont]")
		require.Contains(t, lines[1], "count=3 ")
	})
}

// TestForeignRequestsAreSettledWhenTheyAreSaved has a store that is full for a while, and one message that it does not
// reject at once.
func TestForeignRequestsAreSettledWhenTheyAreSaved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		in := newRequestsIn(t)
		reject := func(err error) *gomock.Call {
			return in.intake.EXPECT().Reject(gomock.Any(), gomock.Any()).Return(err)
		}
		gomock.InOrder(
			reject(ports.ErrUnavailable), in.accepts(nil, ports.ErrFull), in.source.EXPECT().Settle([]ports.Ticket{"p-1"}),
			reject(nil), in.accepts(ports.ErrFull), in.source.EXPECT().Settle([]ports.Ticket{"p-2"}),
			in.accepts(nil), in.source.EXPECT().Settle([]ports.Ticket{"p-3"}),
		)
		stop := start(t, in.Run)
		in.messages <- []ports.Received{
			message("p-1", `{"body":""}`), message("p-2", "oops"), message("p-3", `{"body":""}`),
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
		in.messages <- []ports.Received{message("p-1", `{"body":""}`)}
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
		in.messages <- []ports.Received{message("p-1", `{"body":""}`)}
		<-time.After(time.Minute)
		stop()

		close(in.messages)
		require.ErrorIs(t, in.Run(t.Context()), ports.ErrClosed)
	})
}
