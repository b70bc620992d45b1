package redis_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
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
		require.NoError(t, db.Reject(t.Context(), r, []byte("oops"), errors.New("no JSON")))
	}
	rec, err := db.Wait(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, domain.Failed, rec.Status)
	letter, err := db.DeadLetters().Find(t.Context(), r.ID)
	require.NoError(t, err)
	require.Equal(t, domain.ReasonUndecodable, letter.Reason)
	require.Equal(t, "no JSON", letter.Error)
	require.Nil(t, letter.Request)
	kept, err := s.client().HGet(t.Context(), "{openhqm-requests}:d:"+string(r.ID), "message").Result()
	require.NoError(t, err)
	require.Equal(t, "oops", kept, "the original is kept")
	depths, err := db.Depths(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, depths.DeadLetters)
}

func TestAFloodOfUnreadableMessagesIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var log log
	opts := options(startServer(t).url())
	opts.Logger = log.logger()
	opts.Now = func() time.Time { return time.Unix(1<<31, 0) } // it stands still
	db := openDB(t, opts)
	for range 20 {
		require.NoError(t, db.Reject(t.Context(), newRequest(), []byte("oops"), errors.New("no JSON")))
	}
	require.Equal(t, 1, strings.Count(log.String(), "level=ERROR"), log.String())
	require.Contains(t, log.String(), "count=1 ")
}
