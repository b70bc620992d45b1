package server

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain/outage"
	"github.com/openhqm/openhqm/ports"
)

func TestAnOutageIsLoggedOnceAndSoIsItsEnd(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	now := time.Time{}
	logger, clock := slog.New(slog.NewTextHandler(&log, nil)), func() time.Time { return now }
	o := &outageState{
		Log: outage.Log{Name: "redis", Logger: logger, Now: clock}, refused: outage.Refusals{Logger: logger, Now: clock},
	}
	lines := func() int { return strings.Count(log.String(), "\n") }
	o.report(nil)
	o.report(ports.ErrClosed)
	o.report(ports.ErrFull)
	require.Zero(t, lines(), "nothing happened")
	for range 3 {
		o.report(errors.New("connection refused"))
		now = now.Add(outage.Calm - 1)
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
