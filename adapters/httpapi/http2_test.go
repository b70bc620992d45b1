package httpapi

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
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
	a := r.do("GET", "/health/ready", "")
	requireProblem(t, a, http.StatusServiceUnavailable, "OVERLOADED")
	require.Equal(t, busyRetryAfter, a.Header.Get("Retry-After"))
	require.Equal(t, http.StatusOK, r.do("GET", "/health/live", "").StatusCode)
	close(proceed)
	require.Equal(t, http.StatusAccepted, <-first)
	require.Eventually(t, func() bool { return r.do("GET", "/health/ready", "").StatusCode == http.StatusOK },
		testTimeout, time.Millisecond, "there is room again")
}

// TestHTTP2UploadDoesNotWaitForRoom holds that one which waited could not be read, and would keep the window of its
// connection from all others.
func TestHTTP2UploadDoesNotWaitForRoom(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		held, proceed := make(chan struct{}), make(chan struct{})
		r := startPiped(t, &fakes{submit: func(_ context.Context, s ports.Submission) (ports.Receipt, error) {
			if len(s.Body) == testBodyMax {
				close(held)
				<-proceed
			}
			return ports.Receipt{ID: testID}, nil
		}})
		first := make(chan int, 1)
		go func() { first <- r.do("PUT", "/proxy/orders", strings.Repeat("x", testBodyMax)).StatusCode }()
		<-held
		r = r.http2()
		began := time.Now()
		for _, size := range []int{2 * smallBody, testBodyMax} {
			for _, chunked := range []bool{false, true} {
				var content io.Reader = strings.NewReader(strings.Repeat("x", size))
				if chunked {
					content = io.MultiReader(content)
				}
				request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://gateway/proxy/orders", content)
				require.NoError(t, err)
				response, err := r.client.Do(request)
				require.NoError(t, err)
				refused := readAnswer(t, response)
				requireProblem(t, refused, http.StatusServiceUnavailable, "OVERLOADED")
				require.Equal(t, busyRetryAfter, refused.Header.Get("Retry-After"))
				require.Equal(t, http.StatusAccepted, r.do("PUT", "/proxy/orders", "abc").StatusCode, "small ones need no room")
			}
		}
		require.Zero(t, time.Since(began))
		close(proceed)
		require.Equal(t, http.StatusAccepted, <-first)
		require.Equal(t, http.StatusAccepted, r.do("PUT", "/proxy/orders", strings.Repeat("x", 2*smallBody)).StatusCode)
	})
}

// TestHTTP2UploadThatIsNotReadYetLeavesTheConnectionToOthers is about one that fills the window of its stream.
func TestHTTP2UploadThatIsNotReadYetLeavesTheConnectionToOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, given := accepting()
		proceed := make(chan struct{})
		f.check = func(s ports.Submission) error {
			if s.Endpoint == "slow" {
				<-proceed
			}
			return nil
		}
		r := startPiped(t, f).http2()
		first := make(chan int, 1)
		go func() { first <- r.do("PUT", "/proxy/slow", strings.Repeat("x", 2*smallBody)).StatusCode }()
		synctest.Wait() // for as much as may be sent
		ctx, cancel := context.WithTimeout(t.Context(), testTimeout)
		defer cancel()
		request, err := http.NewRequestWithContext(
			ctx, http.MethodPut, "http://gateway/proxy/orders", strings.NewReader("abc"))
		require.NoError(t, err)
		response, err := r.client.Do(request)
		require.NoError(t, err)
		require.Equal(t, http.StatusAccepted, readAnswer(t, response).StatusCode)
		require.Equal(t, "abc", string((<-given).Body))
		close(proceed)
		require.Equal(t, http.StatusAccepted, <-first)
		require.Len(t, (<-given).Body, 2*smallBody)
	})
}

func TestHTTP2UploadThatStallsIsCutOffAlone(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f, _ := accepting()
		r := startPiped(t, f).http2()
		content, stalled := io.Pipe()
		request, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://gateway/proxy/orders", content)
		require.NoError(t, err)
		request.ContentLength = testBodyMax
		began := time.Now()
		response, err := r.client.Do(request)
		require.NoError(t, err)
		requireProblem(t, readAnswer(t, response), http.StatusRequestTimeout, "REQUEST_TIMEOUT")
		require.Equal(t, readPatience, time.Since(began))
		require.NoError(t, stalled.Close())
		require.Equal(t, http.StatusAccepted, r.do("PUT", "/proxy/orders", strings.Repeat("x", testBodyMax)).StatusCode)
	})
}
