package conformance

import (
	"net/http"
	"slices"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func deadLetters() []testCase {
	return []testCase{
		{name: "every FAILED and TIMEOUT is listed, newest first, and nothing else", run: failuresAreListed},
		{name: "a dead letter holds the whole original", run: deadLettersAreWhole},
		{name: "what the deadline ended is listed too", run: deadlinesAreListed},
		{name: "lists can be filtered", run: listsAreFiltered},
		{name: "pages lose nothing and repeat nothing", run: pagesAreComplete},
		{name: "a dead letter is deleted once, with its original and without its record", run: deletedOnce},
		{name: "dead letters survive reopening", run: deadLettersSurvive},
		{
			name: "a dead letter ends with its lifetime", run: deadLettersEnd,
			settings: Settings{TTL: 300 * time.Millisecond},
		},
		{name: "what does not exist is not found", run: unknownDeadLetter},
	}
}

// list returns the dead letters on all pages of at most limit.
func (e *env) list(filter ports.DeadLetterFilter, limit int) []domain.DeadLetter {
	e.t.Helper()
	filter.Limit = limit
	var all []domain.DeadLetter
	for {
		page, err := e.DeadLetters.List(e.ctx, filter)
		require.NoError(e.t, err)
		require.LessOrEqual(e.t, len(page.Letters), limit)
		all = append(all, page.Letters...)
		if (page.Next == ports.DeadLetterPlace{}) {
			return all
		}
		require.NotEqual(e.t, filter.Before, page.Next, "the next page is another one")
		filter.Before = page.Next
	}
}

func letterIDs(letters []domain.DeadLetter) []domain.ID {
	out := make([]domain.ID, len(letters))
	for i := range letters {
		out[i] = letters[i].ID
	}
	return out
}

// bury makes a dead letter of a request.
func (e *env) bury(w ports.Work, r domain.Request, change ...func(*domain.Outcome)) {
	e.t.Helper()
	e.accept(r)
	d := e.one(w)
	require.Equal(e.t, r.ID, d.Request.ID)
	out := failed(d)
	for _, c := range change {
		c(&out)
	}
	e.finish(w, d, out)
}

func because(status domain.Status, reason domain.Reason) func(*domain.Outcome) {
	return func(out *domain.Outcome) { out.Status, out.Reason = status, reason }
}

func failuresAreListed(e *env) {
	w := e.consumer()
	ends := []func(*domain.Outcome){
		because(domain.Failed, domain.ReasonAttempts), because(domain.Failed, domain.ReasonMaxDeliveries),
		because(domain.Failed, domain.ReasonDeadline), because(domain.TimedOut, domain.ReasonDeadline),
	}
	want := make([]domain.ID, len(ends))
	for i, end := range ends {
		r := newRequest()
		e.bury(w, r, end)
		want[i] = r.ID
	}
	fine, cancelled, waiting := newRequest(), newRequest(notBefore(now().Add(time.Hour))), newRequest()
	e.accept(fine, cancelled)
	d := e.one(w)
	e.finish(w, d, completed(d))
	e.cancel(cancelled.ID)
	e.accept(waiting)

	letters := e.list(ports.DeadLetterFilter{}, 100)
	e.requireIDs(want, letterIDs(letters))
	newestFirst := slices.IsSortedFunc(letters, func(a, b domain.DeadLetter) int { return b.FailedAt.Compare(a.FailedAt) })
	require.True(e.t, newestFirst)
	for i := range letters {
		require.Nil(e.t, letters[i].Request, "lists come without originals")
		require.True(e.t, letters[i].Status.DeadLettered())
	}
	for _, id := range []domain.ID{fine.ID, cancelled.ID, waiting.ID} {
		_, err := e.DeadLetters.Find(e.ctx, id)
		require.ErrorIs(e.t, err, ports.ErrNotFound)
		require.ErrorIs(e.t, e.DeadLetters.Delete(e.ctx, id), ports.ErrNotFound)
	}
	require.Equal(e.t, waiting.ID, e.one(w).Request.ID, "it was not deleted")
}

func deadLettersAreWhole(e *env) {
	w := e.consumer()
	for _, body := range [][]byte{nil, {}, []byte("\x00\xff{\"n\": 1e400 }")} {
		r := newRequest(withBody(body), withPriority(7), func(r *domain.Request) {
			r.Method, r.Path, r.Query, r.Owner = "PUT", "/a%20b", "c=d&c=", "shop"
			r.Header = domain.Header{"X-One": {"2", "1"}, "X-Bytes": {"caf\xe9"}}
			r.Labels, r.MaxAttempts, r.ResentFrom = map[string]string{"k": "v"}, 2, "older"
		})
		e.accept(r)
		d := e.one(w)
		out := again(d, time.Time{})
		out.Response = newResponse(http.StatusServiceUnavailable, "busy")
		e.finish(w, d, out)
		d = e.one(w)
		require.Equal(e.t, r.ResentFrom, d.Request.ResentFrom)
		e.finish(w, d, failed(d))
		require.Equal(e.t, r.ResentFrom, e.find(r.ID).ResentFrom)

		letter, err := e.DeadLetters.Find(e.ctx, r.ID)
		require.NoError(e.t, err)
		require.Equal(e.t, &r, letter.Request)
		require.WithinDuration(e.t, time.Now(), letter.FailedAt, patience)
		listed := e.list(ports.DeadLetterFilter{}, 1)[0]
		letter.Request = nil
		require.Equal(e.t, listed, letter)
		state, err := e.DeadLetters.State(e.ctx, r.ID)
		require.NoError(e.t, err)
		require.Equal(e.t, listed, state)
		listed.FailedAt = time.Time{}
		require.Equal(e.t, domain.DeadLetter{
			ID: r.ID, Endpoint: r.Endpoint, ResentFrom: "older", Status: domain.Failed, Reason: domain.ReasonAttempts,
			Error: "no answer", Attempts: 2, StatusCode: http.StatusServiceUnavailable, SubmittedAt: r.SubmittedAt,
			RequestSize: r.Size(),
		}, listed)
		require.NoError(e.t, e.DeadLetters.Delete(e.ctx, r.ID))
	}
}

func deadlinesAreListed(e *env) {
	ready := newRequest(withDeadline(now().Add(e.soon())))
	delayed := newRequest(withDeadline(now().Add(e.soon())), notBefore(now().Add(time.Hour)))
	e.accept(ready, delayed)
	for _, r := range []domain.Request{ready, delayed} {
		e.endsAtDeadline(r)
		letter, err := e.DeadLetters.Find(e.ctx, r.ID)
		require.NoError(e.t, err)
		require.Equal(e.t, domain.TimedOut, letter.Status)
		require.Equal(e.t, domain.ReasonDeadline, letter.Reason)
		require.NotEmpty(e.t, letter.Error)
		require.Zero(e.t, letter.StatusCode)
		if e.harness.Traits.OriginalWithMessage {
			letter = e.completedLetter(r.ID)
		}
		require.NotNil(e.t, letter.Request)
		require.Equal(e.t, r.Body, letter.Request.Body)
	}
	e.requireIDs([]domain.ID{ready.ID, delayed.ID}, letterIDs(e.list(ports.DeadLetterFilter{}, 10)))
}

// completedLetter lets a worker have the message of a dead letter, which is nothing for it to work on.
func (e *env) completedLetter(id domain.ID) domain.DeadLetter {
	e.t.Helper()
	e.nothing(e.consumer(), plenty(1))
	var letter domain.DeadLetter
	e.eventually(func() bool {
		var err error
		letter, err = e.DeadLetters.Find(e.ctx, id)
		return err == nil && letter.Request != nil
	}, "the dead letter never has its original")
	return letter
}

func listsAreFiltered(e *env) {
	w := e.consumer()
	rejected := because(domain.Failed, domain.ReasonRejected)
	first, second, third := newRequest(to("a")), newRequest(to("b")), newRequest(to("a"))
	e.bury(w, first)
	e.bury(w, second, rejected)
	e.bury(w, third, rejected)
	middle, err := e.DeadLetters.Find(e.ctx, second.ID)
	require.NoError(e.t, err)
	last := e.list(ports.DeadLetterFilter{}, 10)[0]
	for _, tt := range []struct {
		name string
		give ports.DeadLetterFilter
		want []domain.ID
	}{
		{"all", ports.DeadLetterFilter{}, []domain.ID{first.ID, second.ID, third.ID}},
		{"endpoint", ports.DeadLetterFilter{Endpoint: "a"}, []domain.ID{first.ID, third.ID}},
		{"reason", ports.DeadLetterFilter{Reason: domain.ReasonRejected}, []domain.ID{second.ID, third.ID}},
		{"both", ports.DeadLetterFilter{Endpoint: "a", Reason: domain.ReasonRejected}, []domain.ID{third.ID}},
		{"none", ports.DeadLetterFilter{Endpoint: "c"}, []domain.ID{}},
		{
			"later than all",
			ports.DeadLetterFilter{Before: ports.DeadLetterPlace{FailedAt: last.FailedAt.Add(1)}},
			[]domain.ID{first.ID, second.ID, third.ID},
		},
		{
			"earlier than all",
			ports.DeadLetterFilter{Before: ports.DeadLetterPlace{FailedAt: time.Now().Add(-time.Hour)}},
			[]domain.ID{},
		},
	} {
		e.requireIDs(tt.want, letterIDs(e.list(tt.give, 10)))
		e.requireIDs(tt.want, letterIDs(e.list(tt.give, 1)))
	}
	before := ports.DeadLetterPlace{FailedAt: middle.FailedAt}
	require.NotContains(e.t, letterIDs(e.list(ports.DeadLetterFilter{Before: before}, 10)), second.ID, "exclusive")
}

func pagesAreComplete(e *env) {
	const n = 50
	w := e.consumer()
	reqs := newRequests(n)
	e.accept(reqs...)
	deliveries := e.collect(w, n)
	finishes := make([]ports.Finish, n)
	for i, d := range deliveries {
		finishes[i] = finishOf(d, failed(d))
	}
	for _, err := range w.Finish(e.ctx, finishes) { // many of one moment
		require.NoError(e.t, err)
	}
	whole := letterIDs(e.list(ports.DeadLetterFilter{}, 2*n))
	e.requireIDs(requestIDs(reqs), whole)
	for _, limit := range []int{1, 7, n} {
		require.Equal(e.t, whole, letterIDs(e.list(ports.DeadLetterFilter{}, limit)), "pages of %d", limit)
	}
}

func deletedOnce(e *env) {
	const at = 8
	w := e.consumer()
	gone, kept := newRequest(), newRequest()
	e.bury(w, gone)
	e.bury(w, kept)
	errs := make(chan error, at)
	for range at {
		go func() { errs <- e.DeadLetters.Delete(e.ctx, gone.ID) }()
	}
	deleted := 0
	for range at {
		if err := <-errs; err == nil {
			deleted++
		} else {
			require.ErrorIs(e.t, err, ports.ErrNotFound)
		}
	}
	require.Equal(e.t, 1, deleted)
	_, err := e.DeadLetters.State(e.ctx, gone.ID)
	require.ErrorIs(e.t, err, ports.ErrNotFound)
	_, err = e.DeadLetters.Find(e.ctx, gone.ID)
	require.ErrorIs(e.t, err, ports.ErrNotFound)
	e.requireIDs([]domain.ID{kept.ID}, letterIDs(e.list(ports.DeadLetterFilter{}, 10)))
	e.requireDepth(ports.Depths{DeadLetters: 1})
	require.Equal(e.t, domain.Failed, e.find(gone.ID).Status)
}

func deadLettersSurvive(e *env) {
	w := e.consumer()
	kept, gone := newRequest(), newRequest()
	e.bury(w, kept)
	e.bury(w, gone)
	require.NoError(e.t, e.DeadLetters.Delete(e.ctx, gone.ID))
	e.reopen()
	e.requireIDs([]domain.ID{kept.ID}, letterIDs(e.list(ports.DeadLetterFilter{}, 10)))
	letter, err := e.DeadLetters.Find(e.ctx, kept.ID)
	require.NoError(e.t, err)
	require.Equal(e.t, kept.Body, letter.Request.Body)
	e.requireDepthOnceSeen(e.consumer(), ports.Depths{DeadLetters: 1})
}

func deadLettersEnd(e *env) {
	r := newRequest()
	e.bury(e.consumer(), r)
	e.eventually(func() bool { return len(e.list(ports.DeadLetterFilter{}, 10)) == 0 }, "it never ends")
	_, err := e.DeadLetters.Find(e.ctx, r.ID)
	require.ErrorIs(e.t, err, ports.ErrNotFound)
	require.ErrorIs(e.t, e.DeadLetters.Delete(e.ctx, r.ID), ports.ErrNotFound)
	e.requireDepth(ports.Depths{})
}

func unknownDeadLetter(e *env) {
	id := newRequest().ID
	_, err := e.DeadLetters.State(e.ctx, id)
	require.ErrorIs(e.t, err, ports.ErrNotFound)
	_, err = e.DeadLetters.Find(e.ctx, id)
	require.ErrorIs(e.t, err, ports.ErrNotFound)
	require.ErrorIs(e.t, e.DeadLetters.Delete(e.ctx, id), ports.ErrNotFound)
	require.Empty(e.t, e.list(ports.DeadLetterFilter{}, 1))
}
