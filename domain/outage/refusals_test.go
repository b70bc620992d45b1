package outage_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain/outage"
)

// refusing has refusals with their log and their clock.
type refusing struct {
	outage.Refusals

	log bytes.Buffer
	now time.Time
}

func newRefusing() *refusing {
	r := &refusing{now: time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)}
	r.Name, r.Logger = "it", slog.New(slog.NewTextHandler(&r.log, nil))
	r.Now = func() time.Time { return r.now }
	return r
}

func (r *refusing) lines() int { return strings.Count(r.log.String(), "\n") }

// TestARefusalIsLoggedOnceHoweverMuchElseSucceeds has something that is tried again every few seconds.
func TestARefusalIsLoggedOnceHoweverMuchElseSucceeds(t *testing.T) {
	t.Parallel()
	r := newRefusing()
	require.Empty(t, r.Standing())
	wrong := errors.New("stream a: the wrong type")
	for range 60 {
		r.Note(wrong)
		for range 5 {
			r.now = r.now.Add(time.Second)
			r.Expire()
		}
		require.Equal(t, []error{wrong}, r.Standing())
	}
	require.Equal(t, 1, r.lines(), r.log.String())
	require.Contains(t, r.log.String(), "broker refuses a part of the work")
	require.Contains(t, r.log.String(), "stream a: the wrong type")

	r.now = r.now.Add(outage.RefusalStands)
	require.Empty(t, r.Standing())
	r.Expire()
	require.Equal(t, 2, r.lines())
	require.Contains(t, r.log.String(), "broker refuses nothing any more")
	r.Note(wrong)
	require.Equal(t, 3, r.lines(), "another time")
}

func TestARefusalEndsWhenItIsDone(t *testing.T) {
	t.Parallel()
	r := newRefusing()
	one, other := errors.New("one"), errors.New("other")
	is := func(want error) func(error) bool { return func(err error) bool { return errors.Is(err, want) } }
	r.End(is(one))
	r.Note(one)
	r.Note(other)
	r.End(is(one))
	require.Equal(t, []error{other}, r.Standing())
	require.Equal(t, 1, r.lines())
	r.End(is(other))
	require.Empty(t, r.Standing())
	require.Equal(t, 2, r.lines())
}

func TestEachRefusalIsLoggedAndFewAtATime(t *testing.T) {
	t.Parallel()
	r := newRefusing()
	const told = 16
	for range 2 * told {
		for i := range 3 * told {
			r.Note(fmt.Errorf("stream %02d", i))
		}
		r.now = r.now.Add(2500 * time.Millisecond)
	}
	require.Equal(t, told, r.lines(), "one in 5 s, each once")
	require.Len(t, r.Standing(), told)
	require.EqualError(t, r.Standing()[0], "stream 00")
}
