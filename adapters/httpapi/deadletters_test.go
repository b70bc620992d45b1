package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

const (
	deadLetterURL = deadLettersPath + "/" + string(testID)
	newTestID     = domain.ID("01980f3c-9999-7cc3-8f6e-5a0f6f1f2a3b")
)

// deadLetterFakes stand for the store and the use-case. What a test does not set answers ErrNotFound.
type deadLetterFakes struct {
	list       func(context.Context, ports.DeadLetterFilter) (ports.DeadLetterPage, error)
	state      func(domain.ID) (domain.DeadLetter, error) // not set: find without the original
	find       func(domain.ID) (domain.DeadLetter, error)
	remove     func(domain.ID) error
	resend     func(domain.ID) (ports.Resent, error)
	resendMany func(context.Context, ports.DeadLetterFilter, int) (ports.ResentPage, error)
}

func (f *deadLetterFakes) List(
	ctx context.Context, filter ports.DeadLetterFilter,
) (ports.DeadLetterPage, error) {
	if f.list == nil {
		return ports.DeadLetterPage{}, ports.ErrNotFound
	}
	return f.list(ctx, filter)
}

func (f *deadLetterFakes) Find(_ context.Context, id domain.ID) (domain.DeadLetter, error) {
	if f.find == nil {
		return domain.DeadLetter{}, ports.ErrNotFound
	}
	return f.find(id)
}

func (f *deadLetterFakes) State(ctx context.Context, id domain.ID) (domain.DeadLetter, error) {
	if f.state != nil {
		return f.state(id)
	}
	letter, err := f.Find(ctx, id)
	letter.Request = nil
	return letter, err
}

func (f *deadLetterFakes) Delete(_ context.Context, id domain.ID) error {
	if f.remove == nil {
		return ports.ErrNotFound
	}
	return f.remove(id)
}

func (f *deadLetterFakes) Resend(_ context.Context, id domain.ID) (ports.Resent, error) {
	if f.resend == nil {
		return ports.Resent{}, ports.ErrNotFound
	}
	return f.resend(id)
}

func (f *deadLetterFakes) ResendMany(
	ctx context.Context, filter ports.DeadLetterFilter, rate int,
) (ports.ResentPage, error) {
	if f.resendMany == nil {
		return ports.ResentPage{}, ports.ErrNotFound
	}
	return f.resendMany(ctx, filter, rate)
}

// withDeadLetters puts the fakes into a server.
func withDeadLetters(f *deadLetterFakes) func(*Options) {
	return func(opts *Options) { opts.DeadLetters, opts.Resender = f, f }
}

func testDeadLetter() domain.DeadLetter {
	return domain.DeadLetter{
		ID: testID, Endpoint: "orders", Status: domain.Failed, Reason: domain.ReasonAttempts,
		Error: `the backend answered "503"`, Attempts: 4, StatusCode: 503,
		SubmittedAt: testNow, FailedAt: testNow.Add(time.Minute),
	}
}

const testDeadLetterDocument = `{"correlation_id":"` + string(testID) + `","endpoint":"orders",` +
	`"reason":"attempts_exhausted","error":"the backend answered \"503\"","attempts":4,"status":"FAILED",` +
	`"status_code":503,"submitted_at":"2026-03-04T04:06:07.891Z","failed_at":"2026-03-04T04:07:07.891Z"`

func TestDeadLettersAreListed(t *testing.T) {
	t.Parallel()
	unanswered := testDeadLetter()
	unanswered.Status, unanswered.StatusCode, unanswered.ResentFrom = domain.TimedOut, 0, "older"
	next := ports.DeadLetterPlace{FailedAt: testNow, ID: "last"}
	for _, tt := range []struct {
		name string
		give ports.DeadLetterPage
		want string
	}{
		{"none", ports.DeadLetterPage{}, `{"dead_letters":[]}`},
		{
			"the last page",
			ports.DeadLetterPage{Letters: []domain.DeadLetter{testDeadLetter(), unanswered}},
			`{"dead_letters":[` + testDeadLetterDocument + `},{"correlation_id":"` + string(testID) + `",` +
				`"endpoint":"orders","reason":"attempts_exhausted","error":"the backend answered \"503\"","attempts":4,` +
				`"status":"TIMEOUT","submitted_at":"2026-03-04T04:06:07.891Z","failed_at":"2026-03-04T04:07:07.891Z",` +
				`"resent_from":"older"}]}`,
		},
		{
			"a page in between",
			ports.DeadLetterPage{Next: next},
			`{"dead_letters":[],"next_before":"2026-03-04T04:06:07.891Z,last"}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, &fakes{}, withDeadLetters(&deadLetterFakes{
				list: func(context.Context, ports.DeadLetterFilter) (ports.DeadLetterPage, error) { return tt.give, nil },
			}))
			a := r.do("GET", deadLettersPath, "")
			require.Equal(t, http.StatusOK, a.StatusCode)
			require.Equal(t, tt.want, a.body)
			require.Equal(t, "application/json", a.Header.Get("Content-Type"))
			require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
			require.Equal(t, observed{"GET", "/api/v1/dead-letters", 200}, <-r.observed)
		})
	}
}

func TestADeadLetterIsShownWithItsOriginal(t *testing.T) {
	t.Parallel()
	whole := domain.Request{
		Method: "PUT", Path: "/a%20b", Query: "c=d&e", Priority: 7, MaxAttempts: 3, Owner: "shop",
		Header:   domain.Header{"Content-Type": {"application/json"}, "X-Two": {"1", "2"}, "Authorization": {"Bearer x"}},
		Body:     []byte("{ \"n\": 1e400, \"n\": \"<&>\u2028\" }"),
		Labels:   map[string]string{"b": "2", "a": "\"1\""},
		Deadline: testNow.Add(time.Hour),
	}
	plain := domain.Request{Header: domain.Header{}, Deadline: testNow}
	empty, text, binary := plain, plain, plain
	empty.Body, text.Body, binary.Body = []byte{}, []byte("{\"no\x00 json type\"}"), []byte("\xff\x00")
	const rest = `"priority":0,"deadline":"2026-03-04T04:06:07.891Z"}`
	for _, tt := range []struct {
		name string
		give *domain.Request
		want string
	}{
		{
			"everything", &whole,
			`,"request":{"method":"PUT","path":"/a%20b","query":"c=d&e","headers":{"Authorization":"Bearer x",` +
				`"Content-Type":"application/json","X-Two":["1","2"]},"payload":` + string(whole.Body) +
				`,"priority":7,"max_attempts":3,"labels":{"a":"\"1\"","b":"2"},"owner":"shop",` +
				`"deadline":"2026-03-04T05:06:07.891Z"}`,
		},
		{"no body", &plain, `,"request":{"path":"","query":"","headers":{},` + rest},
		{"an empty body", &empty, `,"request":{"path":"","query":"","headers":{},"payload":"",` + rest},
		{"text", &text, `,"request":{"path":"","query":"","headers":{},"payload":"{\"no\u0000 json type\"}",` + rest},
		{
			"bytes", &binary,
			`,"request":{"path":"","query":"","headers":{},"payload":"/wA=","payload_encoding":"base64",` + rest,
		},
		{"an original that cannot be read", nil, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			letter := testDeadLetter()
			letter.Request = tt.give
			r := start(t, &fakes{}, withDeadLetters(&deadLetterFakes{
				find: func(id domain.ID) (domain.DeadLetter, error) {
					require.Equal(t, testID, id)
					return letter, nil
				},
			}))
			a := r.do("GET", deadLetterURL, "")
			require.Equal(t, http.StatusOK, a.StatusCode)
			require.Equal(t, testDeadLetterDocument+tt.want+"}", a.body)
			requireRecordFields(t, a, domain.Failed)
			require.Equal(t, observed{"GET", "/api/v1/dead-letters/{id}", 200}, <-r.observed)
		})
	}
}

func TestAMessageThatWasNotAcceptedIsShownByteForByte(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		give domain.Original
		want string
	}{
		"text":  {domain.Original{Value: []byte(` {"payload": 1,}` + "\r\n")}, `"message":" {\"payload\": 1,}\r\n"}`},
		"bytes": {domain.Original{Value: []byte("\x00\xff")}, `"message":"AP8=","message_encoding":"base64"}`},
		"none":  {domain.Original{}, ``},
		"fields": {
			domain.Original{Fields: []domain.Field{{Name: "a", Value: "b"}, {Name: "a", Value: "\xff"}}},
			`"fields":[{"name":"a","value":"b"},{"name":"a","value":"/w==","value_encoding":"base64"}]}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			letter := testDeadLetter()
			letter.Original = tt.give
			r := start(t, &fakes{}, withDeadLetters(&deadLetterFakes{
				find: func(domain.ID) (domain.DeadLetter, error) { return letter, nil },
			}))
			a := r.do("GET", deadLettersPath+"/"+string(testID), "")
			require.Equal(t, http.StatusOK, a.StatusCode)
			if tt.want == "" {
				require.NotContains(t, a.body, "message")
				return
			}
			require.Contains(t, a.body, ","+tt.want)
		})
	}
}

func TestADeadLetterIsDeletedOnce(t *testing.T) {
	t.Parallel()
	gone := false
	r := start(t, &fakes{}, withDeadLetters(&deadLetterFakes{remove: func(id domain.ID) error {
		require.Equal(t, testID, id)
		if gone {
			return ports.ErrNotFound
		}
		gone = true
		return nil
	}}))
	a := r.do("DELETE", deadLetterURL, "")
	require.Equal(t, http.StatusNoContent, a.StatusCode)
	require.Empty(t, a.body)
	require.NotContains(t, a.Header, "Content-Type")
	require.NotContains(t, a.Header, "Content-Length", "RFC 9110 section 8.6")
	requireProblem(t, r.do("DELETE", deadLetterURL, ""), http.StatusNotFound, "NOT_FOUND")
}

func TestAResendIsAccepted(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{}, withDeadLetters(&deadLetterFakes{resend: func(id domain.ID) (ports.Resent, error) {
		return ports.Resent{From: id, ID: newTestID, SubmittedAt: testNow}, nil
	}}), func(opts *Options) { opts.PublicURL = "https://gateway.example/q/" })
	a := r.do("POST", deadLetterURL+"/resend", "")
	require.Equal(t, http.StatusAccepted, a.StatusCode)
	require.Equal(t, `{"correlation_id":"`+string(newTestID)+`","resent_from":"`+string(testID)+
		`","status":"PENDING","submitted_at":"2026-03-04T04:06:07.891Z"}`, a.body)
	require.Equal(t, "https://gateway.example/q/api/v1/status/"+string(newTestID), a.Header.Get("Location"))
	require.Equal(t, "1", a.Header.Get("Retry-After"))
	require.Equal(t, string(newTestID), a.Header.Get("X-Correlation-ID"))
	require.Equal(t, "PENDING", a.Header.Get("X-OpenHQM-Status"))
	require.Equal(t, observed{"POST", "/api/v1/dead-letters/{id}/resend", 202}, <-r.observed)
}

func TestAResendThatCannotBe(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		give       error
		wantStatus int
		wantCode   string
	}{
		{ports.ErrNotFound, http.StatusNotFound, "NOT_FOUND"},
		{fmt.Errorf("%w: %q", ports.ErrUnknownEndpoint, "gone"), http.StatusNotFound, "UNKNOWN_ENDPOINT"},
		{ports.ErrUnreadable, http.StatusConflict, "CONFLICT"},
		{ports.ErrFull, http.StatusServiceUnavailable, "QUEUE_FULL"},
		{ports.ErrUnavailable, http.StatusServiceUnavailable, "QUEUE_UNAVAILABLE"},
		{errors.New("no entropy"), http.StatusInternalServerError, "INTERNAL"},
	} {
		r := start(t, &fakes{}, withDeadLetters(&deadLetterFakes{
			resend: func(domain.ID) (ports.Resent, error) { return ports.Resent{}, tt.give },
		}))
		p := requireProblem(t, r.do("POST", deadLetterURL+"/resend", ""), tt.wantStatus, tt.wantCode)
		require.Equal(t, string(testID), p["correlation_id"])
	}
}

func TestResendingManyReportsWhatBecameOfThem(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		give ports.ResentPage
		want string
	}{
		{"none", ports.ResentPage{}, `{"resent":[],"skipped":[],"more":false}`},
		{
			"some",
			ports.ResentPage{
				Resent: []ports.Resent{{From: "a", ID: "b"}, {From: "c", ID: "d"}},
				Skipped: []ports.Unresendable{
					{ID: "e", Err: fmt.Errorf("%w: %q", ports.ErrUnknownEndpoint, "gone")},
					{ID: "f", Err: ports.ErrUnreadable},
				},
				Next: ports.DeadLetterPlace{FailedAt: testNow, ID: "g"},
			},
			`{"resent":[{"correlation_id":"b","resent_from":"a"},{"correlation_id":"d","resent_from":"c"}],` +
				`"skipped":[{"correlation_id":"e","code":"UNKNOWN_ENDPOINT","detail":"unknown endpoint: \"gone\""},` +
				`{"correlation_id":"f","code":"CONFLICT","detail":"the original of the dead letter cannot be read"}],` +
				`"more":true,"next_before":"2026-03-04T04:06:07.891Z,g"}`,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, &fakes{}, withDeadLetters(&deadLetterFakes{
				resendMany: func(context.Context, ports.DeadLetterFilter, int) (ports.ResentPage, error) {
					return tt.give, nil
				},
			}))
			a := r.do("POST", deadLettersPath+"/resend", "{}", "Content-Type", "application/json")
			require.Equal(t, http.StatusAccepted, a.StatusCode)
			require.Equal(t, tt.want, a.body)
			require.Equal(t, observed{"POST", "/api/v1/dead-letters/resend", 202}, <-r.observed)
		})
	}
}

// stopped is a ResendMany that goes on until its context ends.
func stopped(running chan<- struct{}) *deadLetterFakes {
	return &deadLetterFakes{
		resendMany: func(ctx context.Context, _ ports.DeadLetterFilter, _ int) (ports.ResentPage, error) {
			running <- struct{}{}
			<-ctx.Done()
			return ports.ResentPage{Resent: []ports.Resent{{From: "a", ID: "b"}}}, nil
		},
	}
}

func TestResendingManyEndsInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := startPiped(t, &fakes{}, withDeadLetters(stopped(make(chan struct{}, 1))))
		began := time.Now()
		a := r.do("POST", deadLettersPath+"/resend", "{}")
		require.Equal(t, http.StatusAccepted, a.StatusCode)
		require.Equal(t, resendTime, time.Since(began))
	})
}

func TestADrainStopsResendingMany(t *testing.T) {
	t.Parallel()
	running := make(chan struct{}, 1)
	r := start(t, &fakes{}, withDeadLetters(stopped(running)))
	go func() {
		<-running
		r.server.Drain()
	}()
	require.Equal(t, http.StatusAccepted, r.do("POST", deadLettersPath+"/resend", "{}").StatusCode)
}

func TestImpossibleIDsAreNotLookedFor(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{}, withDeadLetters(&deadLetterFakes{
		find:   func(domain.ID) (domain.DeadLetter, error) { return testDeadLetter(), nil },
		remove: func(domain.ID) error { return nil },
		resend: func(domain.ID) (ports.Resent, error) { return ports.Resent{}, nil },
	}))
	for _, call := range [][2]string{{"GET", ""}, {"DELETE", ""}, {"POST", "/resend"}} {
		a := r.do(call[0], deadLettersPath+"/a%20b"+call[1], "")
		requireProblem(t, a, http.StatusNotFound, "NOT_FOUND")
	}
}

func TestARequestNamesTheDeadLetterItWasMadeFrom(t *testing.T) {
	t.Parallel()
	resent := pendingRecord
	resent.ResentFrom = "older"
	require.Contains(t, string(statusDocument(&resent)), `"resent_from":"older"`)
	require.Contains(t, string(resultDocument(&resent)), `"resent_from":"older"`)
	require.NotContains(t, string(statusDocument(&pendingRecord)), "resent_from")
	require.NotContains(t, string(resultDocument(&pendingRecord)), "resent_from")
}
