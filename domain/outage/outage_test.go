package outage_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain/outage"
)

func TestAnOutageIsLoggedOnceAndSoIsItsEnd(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	now := time.Time{}
	o := &outage.Log{
		Name: "it", Logger: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now },
	}
	lines := func() int { return strings.Count(log.String(), "\n") }
	o.Report(nil)
	require.Zero(t, lines(), "nothing happened")
	for range 3 {
		o.Report(errors.New("connection refused"))
		now = now.Add(outage.Calm - 1)
		o.Report(nil)
	}
	require.Equal(t, 1, lines(), "some things still go wrong")
	require.True(t, o.Lasts(2*(outage.Calm-1)))
	require.False(t, o.Lasts(2*outage.Calm))
	now = now.Add(1)
	for range 3 {
		o.Report(nil)
	}
	require.Equal(t, 2, lines())
	require.Contains(t, log.String(), `level=ERROR msg="broker unavailable; retrying`)
	require.Contains(t, log.String(), `level=INFO msg="broker available again" broker=it outage=5.999999998s`)
	require.False(t, o.Lasts(0))
	o.Report(errors.New("connection refused"))
	require.Equal(t, 3, lines(), "another outage")
}

func TestBackoffGrowsToItsBound(t *testing.T) {
	t.Parallel()
	for longest, b := range map[time.Duration]*outage.Backoff{
		outage.LongestPause: {},
		2 * time.Second:     {Longest: 2 * time.Second},
	} {
		previous := time.Duration(0)
		for range 100 {
			pause := b.Next()
			require.LessOrEqual(t, pause, longest)
			require.Greater(t, pause, previous*4/10, "it does not shrink by more than the jitter")
			previous = pause
		}
		require.GreaterOrEqual(t, previous, longest/2)
		require.Equal(t, 100, b.Tries())
		b.Reset()
		require.LessOrEqual(t, b.Next(), outage.FirstPause)
	}
}

func TestAPauseEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		begun := time.Now()
		require.True(t, outage.Sleep(ctx, time.Second-1))
		require.False(t, outage.Sleep(ctx, time.Hour))
		require.Equal(t, time.Second, time.Since(begun))
	})
}
