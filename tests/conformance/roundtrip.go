package conformance

import (
	"bytes"
	"crypto/rand"
	"net/http"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

// largest is the largest body that the configuration allows by default (server.max_body_size).
const largest = 10 << 20

func roundTrips() []testCase {
	return []testCase{
		{name: "a request comes out as it went in", run: requestsComeOut},
		{name: "the largest bodies come out as they went in", run: largestBodies},
		{name: "a response comes out as it went in", run: responsesComeOut},
		{name: "what was accepted survives reopening", run: acceptedSurvives},
		{name: "Accept keeps nothing of what it was given", run: acceptKeepsNothing},
		{name: "many requests in one call come out, each once", run: manyInOneCall},
	}
}

func requestsComeOut(e *env) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	reqs := []domain.Request{
		newRequest(withBody(nil)),
		newRequest(withBody([]byte{})),
		newRequest(withBody(all)),
		newRequest(withBody([]byte("\xff\xfe\x00 not UTF-8"))),
		newRequest(withBody([]byte(`{"a": 1e400, "a":"<&>` + "\u2028" + `"}`))),
		newRequest(func(r *domain.Request) {
			r.Header = domain.Header{
				"Accept":   {"text/html", "*/*;q=0.8"},
				"X-Empty":  {""},
				"X-Bytes":  {"caf\xe9", "€"},
				"X-Quoted": {"a\"b\\c, d\te"},
			}
		}),
		newRequest(func(r *domain.Request) {
			r.Labels = map[string]string{"team": "billing", "empty": "", "": "no name", "zeichen": "ä"}
		}),
		newRequest(func(r *domain.Request) {
			r.Method, r.Path, r.Query = "PROPFIND", "/a%2Fb/ü;p=1//", "q=%20&&q=&=x"
			r.Owner, r.Priority, r.MaxAttempts = "shop", 9, 7
			r.NotBefore = now().Add(time.Millisecond)
			r.Deadline = now().Add(72 * time.Hour)
		}),
	}
	e.accept(reqs...)
	e.requireDeliveries(reqs)
}

// requireDeliveries receives the requests and compares them.
func (e *env) requireDeliveries(reqs []domain.Request) {
	e.t.Helper()
	want := make(map[domain.ID]domain.Request, len(reqs))
	for _, r := range reqs {
		want[r.ID] = r
	}
	for _, d := range e.collect(e.consumer(), len(reqs)) {
		require.Contains(e.t, want, d.Request.ID)
		e.requireRequest(want[d.Request.ID], d.Request)
		require.Equal(e.t, 1, d.Deliveries)
		require.Zero(e.t, d.Attempts)
		require.False(e.t, d.Answered)
		delete(want, d.Request.ID)
	}
	require.Empty(e.t, want, "requests that never came out")
}

// requireRequest compares everything that travels with a request; its idempotency key stays behind.
func (e *env) requireRequest(want, got domain.Request) {
	e.t.Helper()
	require.Equal(e.t, want.Body == nil, got.Body == nil, "no body is not an empty one")
	// Compared apart: the difference between two large bodies would fill the screen.
	require.True(e.t, bytes.Equal(want.Body, got.Body), "body")
	for _, r := range []*domain.Request{&want, &got} {
		r.Body, r.Idempotency = nil, nil
		r.SubmittedAt, r.NotBefore, r.Deadline = r.SubmittedAt.UTC(), r.NotBefore.UTC(), r.Deadline.UTC()
		if len(r.Header) == 0 {
			r.Header = nil
		}
		if len(r.Labels) == 0 {
			r.Labels = nil
		}
	}
	require.Equal(e.t, want, got)
}

func largestBodies(e *env) {
	body := make([]byte, largest)
	_, _ = rand.Read(body) // never fails
	request := newRequest(withBody(body))
	e.accept(request)
	e.reopen()
	w := e.consumer()
	d := e.one(w)
	e.requireRequest(request, d.Request)

	out := completed(d)
	out.Response.Body = body
	e.finish(w, d, out)
	e.reopen()
	e.requireResponse(out.Response, e.find(request.ID).Result.Response)
}

// requireResponse compares responses. One body and no body are the same: HTTP does not tell them apart.
func (e *env) requireResponse(want, got *domain.Response) {
	e.t.Helper()
	require.NotNil(e.t, got)
	require.Equal(e.t, want.StatusCode, got.StatusCode)
	require.True(e.t, bytes.Equal(want.Body, got.Body), "body")
	require.Equal(e.t, want.Header.Clone(), got.Header.Clone())
}

func responsesComeOut(e *env) {
	responses := []*domain.Response{
		{StatusCode: http.StatusOK, Body: []byte("hello")},
		{StatusCode: http.StatusNoContent, Header: domain.Header{"X-Empty": {""}}},
		{StatusCode: http.StatusNotFound, Body: []byte{}},
		{StatusCode: 599, Body: []byte("\x00\xff\x1f\x8b not UTF-8")},
		{StatusCode: http.StatusOK, Header: domain.Header{"Set-Cookie": {"a=1", "b=2; Path=/"}, "Etag": {`"x"`}}},
	}
	w := e.consumer()
	for _, want := range responses {
		request := newRequest()
		e.accept(request)
		d := e.one(w)
		out := completed(d)
		out.Response, out.ProcessingTime = want, 1234*time.Millisecond
		e.finish(w, d, out)

		record := e.find(request.ID)
		e.requireResponse(want, record.Result.Response)
		require.Equal(e.t, domain.Completed, record.Status)
		require.Equal(e.t, 1234*time.Millisecond, record.Result.ProcessingTime)
		require.WithinDuration(e.t, out.At, record.Result.CompletedAt, 0)
		require.Empty(e.t, record.Result.Reason)
		require.Empty(e.t, record.Result.Error)
	}
}

func acceptedSurvives(e *env) {
	reqs := append(newRequests(20), newRequests(20, withPriority(9), to("mails"))...)
	e.accept(reqs...)
	e.reopen()
	for _, r := range reqs {
		record := e.state(r.ID)
		require.Equal(e.t, domain.Pending, record.Status)
		require.Equal(e.t, r.Endpoint, record.Endpoint)
		require.Equal(e.t, r.Priority, record.Priority)
		require.WithinDuration(e.t, r.SubmittedAt, record.SubmittedAt, 0)
		require.WithinDuration(e.t, r.Deadline, record.Deadline, 0)
	}
	e.requireDeliveries(reqs)
}

func acceptKeepsNothing(e *env) {
	given, want := newRequests(1), newRequest()
	given[0].ID, given[0].Header, want.Header = want.ID, domain.Header{"X-A": {"1"}}, domain.Header{"X-A": {"1"}}
	given[0].SubmittedAt, given[0].Deadline = want.SubmittedAt, want.Deadline
	e.accept(given...)
	given[0].Body[0] = '!'
	given[0].Header["X-A"][0] = "changed"
	given[0].Header.Set("X-B", "added")
	given[0] = domain.Request{}
	e.requireDeliveries([]domain.Request{want})
}

func manyInOneCall(e *env) {
	reqs := newRequests(1500)
	e.accept(reqs...)
	e.requireDeliveries(reqs)
	e.nothing(e.consumer(), plenty(1))
}
