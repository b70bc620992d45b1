package exchange_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
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
	"github.com/openhqm/openhqm/tests/testkit"
)

// outbox is a ports.Outbox in memory. What becomes owed after it was read is not known until Wait returns.
type outbox struct {
	sync.Mutex // guards it while it is used

	owed    []ports.Notice
	known   []ports.Notice // those of owed that were read
	dry     bool           // all were read; Wait resets it
	atOnce  int            // notices that Due returns; 0: all
	failure error          // of Due
	refusal error          // of Done
	due     int            // calls of Due
	news    chan struct{}
}

func (o *outbox) Due(context.Context) ([]ports.Notice, error) {
	o.Lock()
	defer o.Unlock()
	o.due++
	if o.failure != nil {
		return nil, o.failure
	}
	if len(o.known) == 0 && !o.dry {
		o.known, o.dry = slices.Clone(o.owed), true
	}
	if o.atOnce > 0 && len(o.known) > o.atOnce {
		return slices.Clone(o.known[:o.atOnce]), nil
	}
	return slices.Clone(o.known), nil
}

func (o *outbox) Done(_ context.Context, notices []ports.Notice) error {
	o.Lock()
	defer o.Unlock()
	if o.refusal != nil {
		return o.refusal
	}
	for _, done := range notices {
		isDone := func(n ports.Notice) bool { return n.ID == done.ID }
		o.owed, o.known = slices.DeleteFunc(o.owed, isDone), slices.DeleteFunc(o.known, isDone)
	}
	return nil
}

// owe adds a notice.
func (o *outbox) owe(n ports.Notice) {
	o.Lock()
	defer o.Unlock()
	o.owed = append(o.owed, n)
}

func (o *outbox) Waiting(context.Context) (int64, error) {
	o.Lock()
	defer o.Unlock()
	return int64(len(o.owed)), nil
}

func (o *outbox) Wait(ctx context.Context) {
	select {
	case <-o.news:
	case <-ctx.Done():
	}
	o.Lock()
	defer o.Unlock()
	o.dry = false
}

// outlet is a ports.Publisher in memory.
type outlet struct {
	sync.Mutex // guards it while it is used

	limit   int       // bytes of a message; 0: none
	refused domain.ID // the message that it does not accept
	away    bool
	hangs   bool          // until the caller gives up
	takes   time.Duration // to publish, unless the caller gives up

	tries     int
	published []ports.QueueMessage
}

func (o *outlet) Publish(ctx context.Context, messages []ports.QueueMessage) []error {
	if o.hangs {
		<-ctx.Done()
	}
	select {
	case <-time.After(o.takes):
	case <-ctx.Done():
	}
	o.Lock()
	defer o.Unlock()
	o.tries++
	errs := make([]error, len(messages))
	for i, m := range messages {
		switch {
		case o.away || ctx.Err() != nil || m.ID == o.refused:
			errs[i] = ports.ErrUnavailable
		case o.limit > 0 && len(m.Value) > o.limit:
			errs[i] = fmt.Errorf("%w: it takes %d bytes", ports.ErrTooLarge, o.limit)
		default:
			o.published = append(o.published, m)
		}
	}
	return errs
}

// out is a NoticesOut with what is around it.
type out struct {
	*exchange.NoticesOut

	outbox *outbox
	outlet *outlet
	log    bytes.Buffer
}

// newOut makes one that publishes what is owed.
func newOut(kind ports.NoticeKind, outcomes ports.Outcomes, owed ...ports.Notice) *out {
	o := &out{outbox: &outbox{owed: owed, news: make(chan struct{}, 1)}, outlet: &outlet{}}
	opts := exchange.NoticesOutOptions{
		To:            "elsewhere",
		ResultURL:     func(id domain.ID) string { return "http://localhost/results/" + string(id) },
		DeadLetterURL: func(id domain.ID) string { return "http://localhost/letters/" + string(id) },
		Now:           time.Now, Logger: slog.New(slog.NewTextHandler(&o.log, nil)),
	}
	switch kind {
	case ports.NoticeResult:
		o.NoticesOut = exchange.NewResultsOut(o.outbox, o.outlet, opts)
	case ports.NoticeDeadLetter:
		o.NoticesOut = exchange.NewDeadLettersOut(o.outbox, o.outlet, opts)
	case ports.NoticeHandover:
		o.NoticesOut = exchange.NewHandoversOut(o.outbox, o.outlet, outcomes, opts)
	}
	return o
}

// run runs it for so long.
func (o *out) run(t *testing.T, d time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	require.NoError(t, o.Run(ctx))
	synctest.Wait()
}

func resultOf(id domain.ID, status domain.Status, response *domain.Response) ports.Notice {
	return ports.Notice{ID: id, Record: &domain.Record{ID: id, Status: status, Result: &domain.Result{
		Response: response, CompletedAt: noon, ProcessingTime: 5 * time.Millisecond,
	}}}
}

// cancelled returns n results.
func cancelled(n int) []ports.Notice {
	all := make([]ports.Notice, n)
	for i := range all {
		all[i] = resultOf(domain.ID(fmt.Sprintf("r-%d", i)), domain.Cancelled, nil)
	}
	return all
}

func TestResultsArePublished(t *testing.T) {
	t.Parallel()
	text := domain.Header{"Content-Type": {"text/plain"}}
	large := make([]byte, envelope.MaxInlineBody+1)
	response := func(body []byte) *domain.Response {
		return &domain.Response{StatusCode: 201, Header: text, Body: body}
	}
	for name, tt := range map[string]struct {
		status   domain.Status
		response *domain.Response
		wantBody []byte
		wantURL  string
	}{
		"completed":        {domain.Completed, response([]byte("done")), []byte("done"), ""},
		"the largest body": {domain.Completed, response(large[1:]), large[1:], ""},
		"a larger body":    {domain.Failed, response(large), []byte{}, "http://localhost/results/a"},
		"cancelled":        {domain.Cancelled, nil, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOut(ports.NoticeResult, nil, resultOf("a", tt.status, tt.response))
				o.run(t, time.Minute)
				require.Len(t, o.outlet.published, 1)
				require.Equal(t, domain.ID("a"), o.outlet.published[0].ID)
				r, err := envelope.DecodeResult(o.outlet.published[0].Value, time.Time{}, 1<<24)
				require.NoError(t, err)
				require.Equal(t, tt.status, r.Status)
				require.Equal(t, tt.wantURL, r.URL)
				require.Equal(t, 5*time.Millisecond, r.Result.ProcessingTime)
				if tt.response == nil {
					require.Nil(t, r.Result.Response)
				} else {
					require.Equal(t, &domain.Response{StatusCode: 201, Header: text, Body: tt.wantBody}, r.Result.Response)
				}
				require.Empty(t, o.outbox.owed)
				require.Empty(t, o.log.String())
			})
		})
	}
}

func request(id domain.ID) *domain.Request {
	return &domain.Request{
		ID: id, Endpoint: "orders", Header: domain.Header{"X-A": {"b"}}, Body: []byte("body"),
		SubmittedAt: noon, Deadline: noon.Add(time.Hour),
	}
}

func letterOf(id domain.ID, r *domain.Request) ports.Notice {
	return ports.Notice{ID: id, Letter: &domain.DeadLetter{
		ID: id, Error: "no luck", Attempts: 3, FailedAt: noon, Request: r,
	}}
}

func TestDeadLettersArePublished(t *testing.T) {
	t.Parallel()
	unreadable, whole := letterOf("a", nil), letterOf("a", request("a"))
	unreadable.Letter.Original = domain.Original{Value: []byte(`{"oops": true}`)}
	large, entry, conflict := letterOf("a", nil), letterOf("a", nil), letterOf("a", request("a"))
	large.Letter.Original = domain.Original{Value: make([]byte, envelope.MaxInlineBody+1)}
	entry.Letter.Original = domain.Original{Fields: []domain.Field{{Name: "data", Value: "\xff"}}}
	conflict.Letter.Original = domain.Original{Value: []byte(`{"theirs": true}`)}
	largeRequest := letterOf("a", request("a"))
	largeRequest.Letter.Request.Body = make([]byte, envelope.MaxInlineBody+1)
	for name, tt := range map[string]struct {
		give       ports.Notice
		want       string
		wantFields []domain.Field
		wantURL    string
	}{
		"a request": {
			give: whole, want: string(envelope.Append(nil, &envelope.Message{Request: *request("a")})),
		},
		"an unreadable message":              {give: unreadable, want: `{"oops": true}`},
		"an entry without a message":         {give: entry, wantFields: entry.Letter.Original.Fields},
		"a request, with the message itself": {give: conflict, want: `{"theirs": true}`},
		"a large unreadable message":         {give: large, wantURL: "http://localhost/letters/a"},
		"a large request":                    {give: largeRequest, wantURL: "http://localhost/letters/a"},
		"one that a carrier still has":       {give: letterOf("a", nil), wantURL: "http://localhost/letters/a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOut(ports.NoticeDeadLetter, nil, tt.give)
				o.run(t, time.Minute)
				require.Len(t, o.outlet.published, 1)
				l, err := testkit.DecodeDeadLetter(o.outlet.published[0].Value)
				require.NoError(t, err)
				require.Equal(t, tt.want, string(l.Message))
				require.Equal(t, tt.wantFields, l.Fields)
				require.Equal(t, tt.wantURL, l.URL)
				require.Equal(t, "no luck", l.Error)
				require.Equal(t, 3, l.Attempts)
				require.Equal(t, noon, l.FailedAt)
			})
		})
	}
}

func handoverOf(id domain.ID, status domain.Status) ports.Notice {
	return ports.Notice{
		ID: id, Request: request(id), Record: &domain.Record{ID: id, Status: status, Attempts: 2},
	}
}

func TestRequestsAreHandedOverWhole(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		owed := handoverOf("a", domain.Pending)
		owed.Request.Body = make([]byte, 2*envelope.MaxInlineBody)
		owed.Request.Header = domain.Header{"Content-Type": {"application/octet-stream"}}
		o := newOut(ports.NoticeHandover, nil, owed)
		o.run(t, time.Minute)
		require.Len(t, o.outlet.published, 1)
		m, err := envelope.Decode(o.outlet.published[0].Value, time.Time{}, 1<<20)
		require.NoError(t, err)
		require.Equal(t, envelope.Message{Request: *owed.Request, RetryCount: 2}, m)
	})
}

func TestANoticeThatIsTooLargeCarriesAURL(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		response := &domain.Response{StatusCode: 500, Header: domain.Header{"X-A": {"b"}}, Body: make([]byte, 2000)}
		o := newOut(ports.NoticeResult, nil, resultOf("a", domain.Failed, response), resultOf("b", domain.Cancelled, nil))
		o.outlet.limit = 1000
		o.run(t, time.Minute)
		require.Len(t, o.outlet.published, 2)
		r, err := envelope.DecodeResult(o.outlet.published[1].Value, time.Time{}, 1<<20)
		require.NoError(t, err)
		require.Equal(t, "http://localhost/results/a", r.URL)
		require.Equal(t, 500, r.Result.Response.StatusCode)

		large := request("c")
		large.Body = make([]byte, 2000)
		o = newOut(ports.NoticeDeadLetter, nil, letterOf("c", large))
		o.outlet.limit = 1000
		o.run(t, time.Minute)
		l, err := testkit.DecodeDeadLetter(o.outlet.published[0].Value)
		require.NoError(t, err)
		require.Nil(t, l.Message)
		require.Equal(t, "http://localhost/letters/c", l.URL)
	})
}

func TestANoticeThatFitsInNoFormIsDropped(t *testing.T) {
	t.Parallel()
	for _, o := range []*out{
		newOut(ports.NoticeResult, nil, resultOf("a", domain.Cancelled, nil)),
		newOut(ports.NoticeDeadLetter, nil, letterOf("a", request("a"))),
	} {
		synctest.Test(t, func(t *testing.T) {
			o.outbox.news = make(chan struct{})
			o.outlet.limit = 1
			o.run(t, time.Minute)
			require.Equal(t, 2, o.outlet.tries, "once in each form")
			require.Empty(t, o.outbox.owed)
			require.Equal(t, 1, strings.Count(o.log.String(), "level=ERROR"), o.log.String())
			require.Contains(t, o.log.String(), "notice dropped")
		})
	}
}

// TestARequestThatIsTooLargeToBeHandedOverEnds also holds that it is tried until that is saved.
func TestARequestThatIsTooLargeToBeHandedOverEnds(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]error{"there": nil, "gone": ports.ErrNotFound} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				outcomes := mocks.NewMockOutcomes(gomock.NewController(t))
				o := newOut(ports.NoticeHandover, outcomes, handoverOf("a", domain.Pending))
				o.outlet.limit = 1
				refuse := func(answer error) *gomock.Call {
					return outcomes.EXPECT().Conclude(gomock.Any(), gomock.Len(1)).DoAndReturn(
						func(_ context.Context, conclusions []ports.Conclusion) []error {
							c := conclusions[0]
							require.Equal(t, domain.ID("a"), c.ID)
							require.Equal(t, domain.Failed, c.Status)
							require.Equal(t, domain.ReasonRejected, c.Result.Reason)
							require.Contains(t, c.Result.Error, "it takes 1 bytes")
							require.Equal(t, time.Now().Truncate(time.Minute), c.Result.CompletedAt.Truncate(time.Minute))
							return []error{answer}
						})
				}
				gomock.InOrder(refuse(ports.ErrUnavailable), refuse(last))
				o.run(t, 10*time.Second)
				require.Empty(t, o.outbox.owed)
			})
		})
	}
}

func TestNoticesWithoutAMessageAreDropped(t *testing.T) {
	t.Parallel()
	damaged := errors.New("damaged")
	for name, tt := range map[string]struct {
		kind ports.NoticeKind
		give ports.Notice
		want string // in the log
	}{
		"a result that is gone":      {ports.NoticeResult, ports.Notice{}, "it was deleted"},
		"a record without a result":  {ports.NoticeResult, ports.Notice{Record: &domain.Record{}}, "it was deleted"},
		"a dead letter that is gone": {ports.NoticeDeadLetter, ports.Notice{}, "it was deleted"},
		"a request that is gone":     {ports.NoticeHandover, ports.Notice{}, "it was deleted"},
		"a damaged result":           {ports.NoticeResult, ports.Notice{Err: damaged}, "damaged"},
		"a damaged dead letter":      {ports.NoticeDeadLetter, ports.Notice{Err: damaged}, "damaged"},
		"a damaged request":          {ports.NoticeHandover, ports.Notice{Err: damaged}, "damaged"},
		"a request that has ended":   {ports.NoticeHandover, handoverOf("", domain.Cancelled), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var owed []ports.Notice
				for i := range 10 {
					tt.give.ID = domain.ID(fmt.Sprintf("gone-%d", i))
					owed = append(owed, tt.give)
				}
				o := newOut(tt.kind, nil, owed...)
				o.run(t, time.Minute)
				require.Empty(t, o.outbox.owed)
				require.Zero(t, o.outlet.tries)
				if tt.want == "" {
					require.Empty(t, o.log.String(), "it is no loss")
					return
				}
				require.Equal(t, 1, strings.Count(o.log.String(), "\n"), o.log.String())
				require.Contains(t, o.log.String(), "level=WARN")
				require.Contains(t, o.log.String(), tt.want)
			})
		})
	}
}

func TestNoticesArePublishedWhenTheOutletIsBack(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOut(ports.NoticeResult, nil, resultOf("a", domain.Cancelled, nil))
		o.outlet.away = true
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- o.Run(ctx) }()
		<-time.After(time.Minute)
		o.outlet.Lock()
		require.Less(t, o.outlet.tries, 30, "it pauses longer and longer")
		require.Greater(t, o.outlet.tries, 10)
		o.outlet.away = false
		o.outlet.Unlock()
		stuck, degraded := errors.AsType[ports.Degraded](o.Probe(ctx))
		require.True(t, degraded)
		require.ErrorContains(t, stuck, "notices of results are not published to elsewhere: "+ports.ErrUnavailable.Error())
		<-time.After(10 * time.Second)
		o.outlet.Lock()
		require.Len(t, o.outlet.published, 1)
		o.outlet.Unlock()
		require.NoError(t, o.Probe(ctx))

		o.outbox.owe(resultOf("b", domain.Cancelled, nil))
		o.outbox.news <- struct{}{}
		synctest.Wait()
		cancel()
		require.NoError(t, <-ended)
		require.Len(t, o.outlet.published, 2)
		require.LessOrEqual(t, strings.Count(o.log.String(), "notices are not published; trying again"), 2, "once a minute")
		require.Equal(t, 1, strings.Count(o.log.String(), "notices are published again"))
		require.Contains(t, o.log.String(), "to=elsewhere")
		<-time.After(time.Second)
	})
}

// TestNoticesThatCannotBeMarkedAsDoneArePublishedAgain has notices that cannot be marked as done.
func TestNoticesThatCannotBeMarkedAsDoneArePublishedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOut(ports.NoticeResult, nil, resultOf("a", domain.Cancelled, nil))
		o.outbox.refusal = ports.ErrUnavailable
		o.run(t, time.Minute)
		require.Greater(t, o.outlet.tries, 10)
		require.Less(t, o.outlet.tries, 30)
		require.Len(t, o.outbox.owed, 1)
	})
}

func TestAnIdleNoticesOutOnlyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOut(ports.NoticeResult, nil)
		o.run(t, time.Hour)
		require.Equal(t, 2, o.outbox.due, "at the beginning and at the end")
	})
}

func TestNoticesOutEnds(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		set        func(o *out)
		wantWithin time.Duration
	}{
		"when nothing is owed":      {func(o *out) { o.outbox.owed = nil }, 0},
		"while the store is away":   {func(o *out) { o.outbox.failure = ports.ErrUnavailable }, time.Second},
		"while the outlet is away":  {func(o *out) { o.outlet.away = true }, time.Second},
		"while the outlet hangs":    {func(o *out) { o.outlet.hangs = true }, time.Second},
		"when it ended with others": {func(o *out) { o.outbox.failure = ports.ErrClosed }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				o := newOut(ports.NoticeResult, nil, resultOf("a", domain.Cancelled, nil))
				tt.set(o)
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				begun := time.Now()
				require.NoError(t, o.Run(ctx))
				require.LessOrEqual(t, time.Since(begun), tt.wantWithin)
				<-time.After(time.Second)
			})
		})
	}
}

// TestNoticesOutPublishesWhatIsLeft has one whose time is over before it begins.
func TestNoticesOutPublishesWhatIsLeft(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const n = 100
		o := newOut(ports.NoticeResult, nil, cancelled(n)...)
		o.outbox.atOnce = 7
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		require.NoError(t, o.Run(ctx))
		require.Len(t, o.outlet.published, n)
		require.Empty(t, o.outbox.owed)
		<-time.After(time.Second)
	})
}

// TestWhatBecomesOwedDuringTheLastRoundIsPublished also holds that a publish under way is not cut off.
func TestWhatBecomesOwedDuringTheLastRoundIsPublished(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOut(ports.NoticeResult, nil, resultOf("a", domain.Cancelled, nil))
		o.outlet.takes = 250 * time.Millisecond
		stop := start(t, o.Run)
		synctest.Wait() // "a" is being published
		o.outbox.owe(resultOf("b", domain.Cancelled, nil))
		stop()
		require.Len(t, o.outlet.published, 2)
		require.Equal(t, 2, o.outlet.tries, "once each")
		require.Empty(t, o.outbox.owed)
		<-time.After(time.Second)
	})
}

// TestARoundThatFailsInPartIsFollowedByAPause has one message that the outlet never accepts, and more of the other ones
// than rounds with pauses publish.
func TestARoundThatFailsInPartIsFollowedByAPause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOut(ports.NoticeResult, nil, cancelled(100)...)
		o.outbox.atOnce = 2
		o.outlet.refused = "r-0"
		o.outlet.takes = time.Millisecond // time passes also without a pause
		o.run(t, time.Minute)
		require.Greater(t, o.outlet.tries, 10)
		require.Less(t, o.outlet.tries, 30)
		require.Len(t, o.outlet.published, 100-len(o.outbox.owed))
	})
}

// TestAnOutletThatHangsIsGivenUpOn has one that never answers, for so long that it is tried again.
func TestAnOutletThatHangsIsGivenUpOn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOut(ports.NoticeResult, nil, resultOf("a", domain.Cancelled, nil))
		o.outlet.hangs = true
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- o.Run(ctx) }()
		<-time.After(5 * time.Minute)
		begun := time.Now()
		cancel()
		require.NoError(t, <-ended)
		require.LessOrEqual(t, time.Since(begun), time.Second)
		require.InDelta(t, 10, o.outlet.tries, 2, "30 s each")
		<-time.After(time.Second)
	})
}

func TestAClosedOutboxIsAnError(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		o := newOut(ports.NoticeResult, nil)
		o.outbox.failure = ports.ErrUnavailable
		ended := make(chan error)
		go func() { ended <- o.Run(t.Context()) }()
		<-time.After(time.Minute)
		o.outbox.Lock()
		require.Less(t, o.outbox.due, 30, "it pauses while the store is away")
		o.outbox.failure = ports.ErrClosed
		o.outbox.Unlock()
		require.ErrorIs(t, <-ended, ports.ErrClosed)
	})
}
