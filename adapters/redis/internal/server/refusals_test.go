package server

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

func TestARefusalOfAScriptStopsTheWork(t *testing.T) {
	t.Parallel()
	shard := &Shard{Key: "{q}"}
	denied := failure(shard, script.Sweep.Call(
		"limit", 1, "lifetime", 1, "letterLifetime", 1, "reason", "", "unanswered", "", "unansweredProblem", "",
		"answered", "", "answeredProblem", "", "only", "", "lease", 1000,
	), answer("ERR The user executing the script can't run this command"))
	require.ErrorContains(t, denied, "(sweep on {q}: ERR The user")
	require.True(t, stops(denied))
	other := Translate(named("a stream", answer("NOPERM this user has no permissions")))
	require.False(t, stops(other))
}

func TestWithoutAPasswordNothingWorks(t *testing.T) {
	t.Parallel()
	for _, text := range []answer{"WRONGPASS no", "NOAUTH no"} {
		require.False(t, partial(Translate(text)))
	}
	require.False(t, partial(Translate(errors.New("connection refused"))))
	require.False(t, partial(ports.ErrUnavailable))
	require.True(t, partial(Translate(answer("NOPERM no"))))
}

func TestARefusalIsNoOutage(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	logger, clock := slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return time.Time{}.Add(time.Hour) }
	o := outageState{
		Log: outage.Log{Name: "redis", Logger: logger, Now: clock}, refused: outage.Refusals{Logger: logger, Now: clock},
	}
	o.report(Translate(named("stream a", answer("WRONGTYPE Operation against a key"))))
	o.report(nil)
	require.Equal(t, 1, strings.Count(log.String(), "\n"))
	require.Contains(t, log.String(), "broker refuses a part of the work")
	require.Contains(t, log.String(), "stream a: WRONGTYPE")
	require.Len(t, o.refused.Standing(), 1)
}
