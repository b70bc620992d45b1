package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/telemetry"
	"github.com/openhqm/openhqm/ports"
)

// reader is the other end of a log: it stalls until it is let on, and may be gone.
type reader struct {
	mu   sync.Mutex
	text bytes.Buffer
	wait chan struct{}
	gone bool
}

func (r *reader) Write(p []byte) (int, error) {
	if r.wait != nil {
		<-r.wait
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.gone {
		return 0, errors.New("broken pipe")
	}
	return r.text.Write(p)
}

// newLogWriter returns a writer to r, and has a logger of text write through it.
func newLogWriter(t *testing.T, r *reader) *telemetry.LogWriter {
	t.Helper()
	w := telemetry.NewLogWriter(r)
	_, err := telemetry.NewLogger(w, telemetry.FormatText, slog.LevelError)
	require.NoError(t, err)
	return w
}

const lostText = "WRN log lines lost: the reader of the log was too slow or away lines="

func TestLinesComeInTheirOrder(t *testing.T) {
	t.Parallel()
	r := &reader{}
	w := newLogWriter(t, r)
	var want strings.Builder
	for i := range 1000 {
		line := fmt.Sprintf("line %d\n", i)
		want.WriteString(line)
		n, err := w.Write([]byte(line))
		require.NoError(t, err)
		require.Equal(t, len(line), n)
	}
	w.Close(t.Context())
	require.Equal(t, want.String(), r.text.String())
	require.Zero(t, w.Lost())
	_, _ = w.Write([]byte("too late\n"))
	require.EqualValues(t, 1, w.Lost())
}

// TestAPauseMixesUpNoLines holds that what is being written is not overwritten by what comes next.
func TestAPauseMixesUpNoLines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &reader{wait: make(chan struct{})}
		w := newLogWriter(t, r)
		var want strings.Builder
		for i := range 20 {
			line := fmt.Sprintf("line %d\n", i)
			want.WriteString(line)
			_, _ = w.Write([]byte(line))
			synctest.Wait()
			if i%3 == 0 { // the reader reads all there is
				r.wait <- struct{}{}
				synctest.Wait()
			}
		}
		close(r.wait)
		w.Close(t.Context())
		require.Equal(t, want.String(), r.text.String())
	})
}

// TestAStalledReaderHoldsUpNobody holds that lines are dropped and counted, and that this is said when it reads again.
func TestAStalledReaderHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &reader{wait: make(chan struct{})}
		w := newLogWriter(t, r)
		line := []byte(strings.Repeat("x", 1<<20-1) + "\n")
		for range 20 {
			_, _ = w.Write(line)
			synctest.Wait() // the first is under way
		}
		require.EqualValues(t, 20-1-8, w.Lost(), "one is being written and 8 MiB wait")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		w.Close(ctx)
		require.Equal(t, time.Second, time.Since(began), "the end does not wait for it")
		require.NoError(t, w.Probe(t.Context()), "a moment is no stall")
		<-time.After(5 * time.Second)
		require.Equal(t, ports.Degraded("nobody reads the log: 11 lines lost"), w.Probe(t.Context()))
		close(r.wait)
		synctest.Wait()
		require.Equal(t, 1, strings.Count(r.text.String(), lostText+"11\n"), "it is said once")
		require.NoError(t, w.Probe(t.Context()))
	})
}

func TestAReaderThatIsGoneIsNoFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &reader{gone: true}
		w := newLogWriter(t, r)
		for range 3 {
			_, err := w.Write([]byte("line\n"))
			require.NoError(t, err)
			synctest.Wait()
		}
		require.EqualValues(t, 3, w.Lost())
		require.Equal(t, ports.Degraded("the log cannot be written: 3 lines lost"), w.Probe(t.Context()))
		r.mu.Lock()
		r.gone = false
		r.mu.Unlock()
		_, _ = w.Write([]byte("again\n"))
		w.Close(t.Context())
		require.Regexp(t, "^[0-9:.]+ "+lostText+"3\nagain\n$", r.text.String(), "even where only errors are logged")
		require.NoError(t, w.Probe(t.Context()))
	})
}
