package server

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/ports"
)

func open(t *testing.T) *Server {
	t.Helper()
	nowhere := &redis.Options{Addr: "127.0.0.1:1", MaxRetries: noRetries, DialerRetries: 1}
	s := newServer(Options{Queue: "queue", Shards: 1, Now: time.Now}, redis.NewClient(nowhere), redis.NewClient(nowhere))
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func TestCloseLetsCallsEndAndRefusesNewOnes(t *testing.T) {
	t.Parallel()
	s := open(t)
	require.True(t, s.Enter())
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	<-s.Context().Done()
	require.False(t, s.Enter(), "and it does not wait for the call under way")
	require.Empty(t, closed, "a call is under way")
	select {
	case <-s.idle:
		require.Fail(t, "a call is under way")
	default:
	}
	s.Leave()
	require.NoError(t, <-closed)
	<-s.idle
	require.NoError(t, s.Close(), "again it does nothing")
	require.Equal(t, []error{ports.ErrClosed, ports.ErrClosed}, Closed(2))
}

func TestCloseWaitsForLoopsAndCommitsWhatCallersWaitFor(t *testing.T) {
	t.Parallel()
	s := open(t)
	c := NewCommitter(s)
	ended := make(chan struct{})
	s.Go(func() {
		defer close(ended)
		<-s.Context().Done()
		s.Sleep(s.Context(), time.Hour)
	})
	require.True(t, s.Enter())
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	<-s.Context().Done()
	result := c.Do(t.Context(), NewOp(s.Shards[0], 0, newCall()))[0]
	require.ErrorIs(t, result.Err, ports.ErrUnavailable, "there is no such server")
	require.NotErrorIs(t, result.Err, ports.ErrClosed)
	s.Leave()
	require.NoError(t, <-closed)
	<-ended
}
