package redis_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
)

func TestAttemptsThatOtherProgramsChargedCount(t *testing.T) {
	t.Parallel()
	db := openDB(t, options(startServer(t).url()))
	r := newRequest()
	r.MaxAttempts = 3
	require.Equal(t, []error{nil}, db.AcceptForeign(t.Context(), []ports.Arrival{{Request: r, Attempts: 2}}))
	d := receive(t, consume(t, db))
	require.Equal(t, r, d.Request)
	require.Equal(t, 2, d.Attempts)
	require.Equal(t, 1, d.Deliveries, "which is another thing")
	rec, err := db.State(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, 2, rec.Attempts)
}

func TestAForeignRequestThatComesTwiceIsOneRequest(t *testing.T) {
	t.Parallel()
	db := openDB(t, options(startServer(t).url()))
	mine, last := ports.Arrival{Request: newRequest()}, ports.Arrival{Request: newRequest()}
	for range 2 {
		require.Equal(t, []error{nil, nil, nil}, db.AcceptForeign(t.Context(), []ports.Arrival{mine, mine, last}))
	}
	c := consume(t, db)
	require.ElementsMatch(t, []domain.ID{mine.Request.ID, last.Request.ID},
		[]domain.ID{receive(t, c).Request.ID, receive(t, c).Request.ID})
	depths, err := db.Depths(t.Context())
	require.NoError(t, err)
	require.Equal(t, ports.Depths{Leased: 2}, depths)
}

// TestAForeignRequestWithTheIDOfAnotherIsTold has ids of requests that wait, that are done, that were submitted here,
// and that of a message which could not be read.
func TestAForeignRequestWithTheIDOfAnotherIsTold(t *testing.T) {
	t.Parallel()
	db := openDB(t, options(startServer(t).url()))
	c, done, waiting, ours, bad := consume(t, db), newRequest(), newRequest(), newRequest(), newRequest()
	require.Equal(t, []error{nil}, db.AcceptForeign(t.Context(), []ports.Arrival{{Request: done}}))
	finish(t, c, receive(t, c), domain.Completed)
	require.Equal(t, []error{nil}, db.AcceptForeign(t.Context(), []ports.Arrival{{Request: waiting}}))
	accept(t, db, ours)
	require.NoError(t, db.Reject(t.Context(), rejection(bad, "oops", "no JSON")))
	for _, r := range []domain.Request{done, waiting, ours, bad} {
		r.Body = []byte("other")
		err := db.AcceptForeign(t.Context(), []ports.Arrival{{Request: r}})[0]
		require.ErrorIs(t, err, ports.ErrIDUsed)
		require.ErrorContains(t, err, string(r.ID))
	}
	for _, r := range []domain.Request{done, waiting} {
		r.SubmittedAt, r.Header = r.SubmittedAt.Add(time.Second), domain.Header{"X-Try": {"2"}}
		require.Equal(t, []error{nil}, db.AcceptForeign(t.Context(), []ports.Arrival{{Request: r}}), "sent again")
	}
}

// TestARejectedMessageWhoseIDIsUsedGetsAnother also holds that it does so once, however often it is handed out.
func TestARejectedMessageWhoseIDIsUsedGetsAnother(t *testing.T) {
	t.Parallel()
	db := openDB(t, options(startServer(t).url()))
	r := newRequest()
	accept(t, db, r)
	for range 2 {
		require.NoError(t, db.Reject(t.Context(), rejection(r, `{"bad": 1}`, "no request")))
	}
	rec, err := db.State(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Pending, rec.Status, "the request is left alone")
	letter, err := db.DeadLetters().Find(t.Context(), "spare-"+r.ID)
	require.NoError(t, err)
	require.Equal(t, `{"bad": 1}`, string(letter.Original.Value))
	require.Equal(t, "no request; its id "+string(r.ID)+" belongs to another request", letter.Error)
	depths, err := db.Depths(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, depths.DeadLetters)
	require.NoError(t, db.DeadLetters().Delete(t.Context(), "spare-"+r.ID))
	require.NoError(t, db.Reject(t.Context(), rejection(r, `{"bad": 1}`, "no request")))
	_, err = db.DeadLetters().State(t.Context(), "spare-"+r.ID)
	require.ErrorIs(t, err, ports.ErrNotFound, "an operator has deleted it, and it came again")
}

func TestARejectedMessageIsKeptWhole(t *testing.T) {
	t.Parallel()
	db := openDB(t, options(startServer(t).url()))
	fields := []domain.Field{{Name: "data", Value: "\xff"}, {Name: "data", Value: ""}, {Name: "", Value: "x"}}
	for name, tt := range map[string]struct {
		original domain.Original
		whole    bool
		reason   domain.Reason
	}{
		"bytes":          {original: domain.Original{Value: []byte("\x00\xff\r\n")}, reason: domain.ReasonUndecodable},
		"fields":         {original: domain.Original{Fields: fields}, reason: domain.ReasonUndecodable},
		"with a request": {original: domain.Original{Value: []byte("{}")}, whole: true, reason: domain.ReasonIDConflict},
		"nothing at all": {reason: domain.ReasonUndecodable},
	} {
		r := newRequest()
		rejected := rejection(r, "", "no luck")
		rejected.Original, rejected.Whole, rejected.Reason = tt.original, tt.whole, tt.reason
		require.NoError(t, db.Reject(t.Context(), rejected))
		letter, err := db.DeadLetters().Find(t.Context(), r.ID)
		require.NoError(t, err)
		require.Equal(t, string(tt.original.Value), string(letter.Original.Value), name)
		require.Equal(t, tt.original.Fields, letter.Original.Fields, name)
		require.GreaterOrEqual(t, letter.RequestSize, tt.original.Size(), name)
		require.Equal(t, tt.reason, letter.Reason)
		require.Equal(t, "no luck", letter.Error)
		if tt.whole {
			require.Equal(t, &r, letter.Request)
		} else {
			require.Nil(t, letter.Request)
		}
		state, err := db.DeadLetters().State(t.Context(), r.ID)
		require.NoError(t, err)
		require.True(t, state.Original.Empty())
	}
}

func TestForeignRequestsAreLimited(t *testing.T) {
	t.Parallel()
	opts := options(startServer(t).url())
	opts.MaxDepth = 1
	db := openDB(t, opts)
	first, second := ports.Arrival{Request: newRequest()}, ports.Arrival{Request: newRequest()}
	errs := db.AcceptForeign(t.Context(), []ports.Arrival{first, second})
	require.NoError(t, errs[0])
	require.ErrorIs(t, errs[1], ports.ErrFull)
	require.NoError(t, db.Close())
	require.Equal(t, []error{ports.ErrClosed}, db.AcceptForeign(t.Context(), []ports.Arrival{second}))
}

func TestMessagesThatCannotBeReadBecomeDeadLetters(t *testing.T) {
	t.Parallel()
	s := startServer(t)
	db := openDB(t, options(s.url()))
	r := newRequest()
	for range 2 {
		require.NoError(t, db.Reject(t.Context(), rejection(r, "oops", "no JSON")))
	}
	rec, err := db.Wait(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Failed, rec.Status)
	letter, err := db.DeadLetters().Find(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, domain.ReasonUndecodable, letter.Reason)
	require.Equal(t, "no JSON", letter.Error)
	require.Nil(t, letter.Request)
	require.Equal(t, "oops", string(letter.Original.Value), "the original is kept")
	depths, err := db.Depths(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, depths.DeadLetters)
}

func TestAFloodOfUnreadableMessagesIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var log testkit.LogBuffer
	opts := options(startServer(t).url())
	opts.Logger = log.Logger()
	opts.Now = func() time.Time { return time.Unix(1<<31, 0) } // it stands still
	db := openDB(t, opts)
	for range 20 {
		require.NoError(t, db.Reject(t.Context(), rejection(newRequest(), "oops", "no JSON")))
	}
	require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"), log.String())
	require.Contains(t, log.String(), "count=1 ")
}
