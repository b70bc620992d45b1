package testkit_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestAFaultProxyDoesWhatItIsSetTo(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 10_000))
	}))
	t.Cleanup(server.Close)
	proxy := testkit.StartFaultProxy(t, server.Listener.Addr().String())
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	get := func(ctx context.Context) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+proxy.Address, http.NoBody)
		require.NoError(t, err)
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.ReadAll(resp.Body)
		return err
	}
	require.NoError(t, get(t.Context()))

	proxy.SetLatency(50 * time.Millisecond)
	began := time.Now()
	require.NoError(t, get(t.Context()))
	require.GreaterOrEqual(t, time.Since(began), 100*time.Millisecond, "there and back")
	proxy.SetLatency(0)

	proxy.CutAfter(5000)
	require.ErrorIs(t, get(t.Context()), io.ErrUnexpectedEOF)
	require.True(t, proxy.Cut())
	require.NoError(t, get(t.Context()))

	proxy.SetSilent(true)
	ended := make(chan error)
	go func() { ended <- get(context.Background()) }()
	brief, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, get(brief), context.DeadlineExceeded)
	proxy.Reset()
	require.Error(t, <-ended)
	go func() { ended <- get(context.Background()) }()
	proxy.SetSilent(false)
	if err := <-ended; err != nil { // its connection may have been one of those that were reset
		require.NotErrorIs(t, err, context.DeadlineExceeded)
	}
	require.NoError(t, get(t.Context()))
}
