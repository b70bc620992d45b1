package redis

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/ports"
)

func TestAnOutageIsLoggedOnceAndSoIsItsEnd(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	now := time.Time{}
	o := &outage{logger: slog.New(slog.NewTextHandler(&log, nil)), now: func() time.Time { return now }}
	lines := func() int { return strings.Count(log.String(), "\n") }
	o.report(nil)
	o.report(ports.ErrClosed)
	o.report(ports.ErrFull)
	require.Zero(t, lines(), "nothing happened")
	for range 3 {
		o.report(errors.New("connection refused"))
		now = now.Add(calm - 1)
		o.report(nil)
	}
	require.Equal(t, 1, lines(), "some things still go wrong")
	now = now.Add(1)
	for range 3 {
		o.report(nil)
	}
	require.Equal(t, 2, lines())
	o.report(errors.New("connection refused"))
	require.Equal(t, 3, lines(), "another outage")
}

func TestBackoffGrowsToItsBound(t *testing.T) {
	t.Parallel()
	var b backoff
	previous := time.Duration(0)
	for range 100 {
		pause := b.next()
		require.LessOrEqual(t, pause, longestPause*12/10)
		require.Greater(t, pause, previous*4/10, "it does not shrink by more than the jitter")
		previous = pause
	}
	require.GreaterOrEqual(t, previous, longestPause*8/10)
	b.reset()
	require.LessOrEqual(t, b.next(), firstPause*12/10)
}
