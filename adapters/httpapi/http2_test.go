package httpapi

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// http2 is the same server, spoken to in HTTP/2 with prior knowledge.
func (r *rig) http2() *rig {
	r.t.Helper()
	var protocols http.Protocols
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{
		Protocols:   &protocols,
		DialContext: func(context.Context, string, string) (net.Conn, error) { return r.dial() },
	}
	r.t.Cleanup(transport.CloseIdleConnections)
	other := *r
	other.client = &http.Client{Transport: transport}
	return &other
}

func TestProxyTakesHTTP2(t *testing.T) {
	t.Parallel()
	f, given := accepting()
	r := start(t, f).http2()
	body := strings.Repeat("\x00\xff", testBodyMax/2)
	for _, chunked := range []bool{false, true} {
		var content io.Reader = strings.NewReader(body)
		if chunked {
			content = io.MultiReader(content) // hides the size
		}
		request, err := http.NewRequestWithContext(t.Context(), "BREW", "http://gateway/", content)
		require.NoError(t, err)
		request.URL.Opaque = "//gateway/proxy/orders/a%2Fb//c;d"
		request.URL.RawQuery = "e=1&e=2"
		request.Header = http.Header{"X-A": {"2", "1"}, "X-Openhqm-Priority": {"3"}, "Content-Type": nil}
		response, err := r.client.Do(request)
		require.NoError(t, err)
		a := readAnswer(t, response)
		require.Equal(t, 2, a.ProtoMajor)
		requireReceipt(t, a)
		s := <-given
		require.Equal(t, "BREW", s.Method)
		require.Equal(t, "/a%2Fb//c;d", s.Path)
		require.Equal(t, "e=1&e=2", s.Query)
		require.Equal(t, 3, s.Priority)
		require.Equal(t, []string{"2", "1"}, s.Header["X-A"])
		require.False(t, s.Bodiless)
		require.True(t, bytes.Equal([]byte(body), s.Body))
	}
	require.Equal(t, http.StatusAccepted, r.do("PROPFIND", "/proxy/orders", "").StatusCode)
	require.True(t, (<-given).Bodiless)
}

func TestRawIsReplayedOverHTTP2(t *testing.T) {
	t.Parallel()
	for _, record := range []domain.Record{
		kept(200, "<html>", domain.Header{"X-A": {"2", "1"}, "Connection": {"x-hop"}, "X-Hop": {"1"}}),
		kept(304, "", nil), kept(999, "x", nil),
	} {
		r := start(t, found(record)).http2()
		a := r.do("GET", rawURL, "")
		require.Equal(t, 2, a.ProtoMajor)
		require.Equal(t, record.Result.Response.StatusCode, a.StatusCode)
		require.Equal(t, string(record.Result.Response.Body), a.body)
		require.Equal(t, record.Result.Response.Header["X-A"], domain.Header(a.Header)["X-A"])
		require.NotContains(t, a.Header, "X-Hop")
		require.NotContains(t, a.Header, "Content-Type")
	}
}

// TestHTTP2ConnectionOutlivesARefusedBody holds that only the stream ends: others are on the same connection.
func TestHTTP2ConnectionOutlivesARefusedBody(t *testing.T) {
	t.Parallel()
	f, _ := accepting()
	r := start(t, f)
	conns := 0
	dial := r.dial
	r.dial = func() (net.Conn, error) {
		conns++
		return dial()
	}
	r = r.http2()
	for range 3 {
		request, err := http.NewRequestWithContext(
			t.Context(), http.MethodPut, "http://gateway/proxy/orders", strings.NewReader("x"))
		require.NoError(t, err)
		request.Header.Set("X-OpenHQM-Priority", "10")
		response, err := r.client.Do(request)
		require.NoError(t, err)
		requireProblem(t, readAnswer(t, response), http.StatusBadRequest, "VALIDATION_ERROR")
	}
	require.Equal(t, 1, conns)
}

func TestHTTP2HasNoMoreRequestsThanConnections(t *testing.T) {
	t.Parallel()
	waiting, proceed := make(chan struct{}), make(chan struct{})
	r := start(t, &fakes{submit: func(context.Context, ports.Submission) (ports.Receipt, error) {
		close(waiting)
		<-proceed
		return ports.Receipt{ID: testID}, nil
	}}, func(o *Options) { o.MaxConnections = 1 }).http2()
	first := make(chan int, 1)
	go func() {
		response, err := r.client.Get("http://gateway/proxy/orders")
		if err == nil {
			first <- response.StatusCode
			_ = response.Body.Close()
		}
	}()
	<-waiting
	a := r.do("GET", "/health/live", "")
	requireProblem(t, a, http.StatusServiceUnavailable, "QUEUE_FULL")
	require.Equal(t, troubleRetryAfter, a.Header.Get("Retry-After"))
	close(proceed)
	require.Equal(t, http.StatusAccepted, <-first)
	require.Eventually(t, func() bool { return r.do("GET", "/health/live", "").StatusCode == http.StatusOK },
		testTimeout, time.Millisecond, "there is room again")
}
