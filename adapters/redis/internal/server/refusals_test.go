package server

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/redis/internal/script"
	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

// refusing is an outageState with its log and its clock.
type refusing struct {
	outageState

	log bytes.Buffer
	now time.Time
}

func newRefusing() *refusing {
	r := &refusing{now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}
	logger, clock := slog.New(slog.NewTextHandler(&r.log, nil)), func() time.Time { return r.now }
	r.Log = outage.Log{Name: "redis", Logger: logger, Now: clock}
	r.refused = newRefusedParts(logger, clock)
	return r
}

func (r *refusing) lines() int { return strings.Count(r.log.String(), "\n") }

// TestARefusalIsLoggedOnceHoweverMuchElseSucceeds has something that is tried again every few seconds.
func TestARefusalIsLoggedOnceHoweverMuchElseSucceeds(t *testing.T) {
	t.Parallel()
	r := newRefusing()
	wrong := Translate(named("stream a", answer("WRONGTYPE Operation against a key")))
	for range 60 {
		r.report(wrong)
		for range 5 {
			r.now = r.now.Add(time.Second)
			r.report(nil)
		}
		require.Equal(t, []error{wrong}, r.refused.standing())
	}
	require.Equal(t, 1, r.lines(), r.log.String())
	require.Contains(t, r.log.String(), "stream a: WRONGTYPE")

	r.now = r.now.Add(refusalStands)
	r.report(nil)
	require.Empty(t, r.refused.standing())
	r.report(nil)
	require.Equal(t, 2, r.lines())
	require.Contains(t, r.log.String(), "redis refuses nothing any more")
}

func TestEachRefusalIsLoggedAndFewAtATime(t *testing.T) {
	t.Parallel()
	r := newRefusing()
	for range 2 * maxRefusals {
		for i := range 3 * maxRefusals {
			r.report(Translate(named(fmt.Sprint("stream ", i), answer("WRONGTYPE of a key"))))
		}
		r.now = r.now.Add(refusalPause / 2)
	}
	require.Equal(t, maxRefusals, r.lines(), "one in refusalPause, each once")
	require.Len(t, r.refused.standing(), maxRefusals)
}

func TestARefusalOfAScriptStopsTheWork(t *testing.T) {
	t.Parallel()
	shard := &Shard{Key: "{q}"}
	denied := failure(shard, script.Sweep.Call(
		"limit", 1, "lifetime", 1, "letterLifetime", 1, "reason", "", "unanswered", "", "unansweredProblem", "",
		"answered", "", "answeredProblem", "", "only", "",
	), answer("ERR The user executing the script can't run this command"))
	require.ErrorContains(t, denied, "(sweep on {q}: ERR The user")
	require.True(t, stops(denied))
	other := Translate(named("a stream", answer("NOPERM this user has no permissions")))
	require.False(t, stops(other))

	r := newRefusing()
	r.report(other)
	r.report(denied)
	require.Equal(t, []error{denied, other}, r.refused.standing())
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
