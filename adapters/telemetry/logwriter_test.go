package telemetry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/telemetry"
)

// reader is the other end of a log: it stalls until it is let go on, and may be gone.
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

func noteOf(n int64) []byte { return fmt.Appendf(nil, "%d lost\n", n) }

func TestLinesComeInTheirOrder(t *testing.T) {
	t.Parallel()
	r := &reader{}
	w := telemetry.NewLogWriter(r, noteOf)
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

// TestAStalledReaderHoldsUpNobody holds that lines are dropped and counted, and that this is said when it reads again.
func TestAStalledReaderHoldsUpNobody(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &reader{wait: make(chan struct{})}
		w := telemetry.NewLogWriter(r, noteOf)
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
		close(r.wait)
		synctest.Wait()
		require.Contains(t, r.text.String(), "11 lost\n")
	})
}

func TestAReaderThatIsGoneIsNoFailure(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r := &reader{gone: true}
		w := telemetry.NewLogWriter(r, noteOf)
		for range 3 {
			_, err := w.Write([]byte("line\n"))
			require.NoError(t, err)
			synctest.Wait()
		}
		require.EqualValues(t, 3, w.Lost())
		r.mu.Lock()
		r.gone = false
		r.mu.Unlock()
		_, _ = w.Write([]byte("again\n"))
		w.Close(t.Context())
		require.Equal(t, "3 lost\nagain\n", r.text.String())
	})
}
