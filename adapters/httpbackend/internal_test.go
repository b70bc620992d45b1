package httpbackend

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

const testMaxSize = 1 << 20

func newTestClient(t *testing.T, url string) *Client {
	t.Helper()
	client, err := New(Options{
		Endpoints:       []Endpoint{{Name: "e", URL: url, DialTimeout: time.Minute}},
		HeaderPolicy:    domain.HeaderPolicy{Forward: []string{"*"}},
		Pseudonym:       "openhqm",
		MaxResponseSize: testMaxSize,
		MaxIdlePerHost:  4,
	})
	require.NoError(t, err)
	t.Cleanup(client.Close)
	return client
}

func get(path string) ports.Call {
	return ports.Call{Method: http.MethodGet, Attempt: 1, Request: &domain.Request{ID: "1", Endpoint: "e", Path: path}}
}

// serveSizes answers /known and /chunked with 300 KiB, and all else with 64 KiB.
func serveSizes(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		size := 64 << 10
		switch r.URL.Path {
		case "/known":
			size = 300 << 10
			w.Header().Set("Content-Length", "307200")
		case "/chunked":
			size = 300 << 10
		}
		_, _ = w.Write(make([]byte, size))
	}))
	t.Cleanup(server.Close)
	return server
}

func TestLargeResponsesAreReserved(t *testing.T) {
	t.Parallel()
	server := serveSizes(t)
	client := newTestClient(t, server.URL)
	tests := []struct {
		give string
		want []int64
	}{
		{"/small", nil},
		{"/known", []int64{300 << 10}},
		{"/chunked", []int64{testMaxSize}},
	}
	for _, tt := range tests {
		var asked []int64
		call := get(tt.give)
		call.Reserve = func(_ context.Context, bytes int64) error {
			asked = append(asked, bytes)
			return nil
		}
		_, err := client.Do(t.Context(), call)
		require.NoError(t, err)
		require.Equal(t, tt.want, asked, tt.give)
	}
}

func TestAResponseThatGetsNoRoomInTimeIsATimeout(t *testing.T) {
	t.Parallel()
	server := serveSizes(t)
	client := newTestClient(t, server.URL)
	for _, path := range []string{"/known", "/chunked"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		call := get(path)
		call.Reserve = func(ctx context.Context, _ int64) error {
			cancel(context.DeadlineExceeded)
			<-ctx.Done()
			return ctx.Err()
		}
		_, err := client.Do(ctx, call)
		var failure *domain.Failure
		require.ErrorAs(t, err, &failure)
		require.Equal(t, domain.FailureTimeout, failure.Kind)
	}
}

func TestReadUpTo(t *testing.T) {
	t.Parallel()
	readers := map[string]func(io.Reader) io.Reader{
		"whole": func(r io.Reader) io.Reader { return r }, "one byte": iotest.OneByteReader,
		"end with the last bytes": iotest.DataErrReader, "halves": iotest.HalfReader,
	}
	const limit = 100
	for name, wrap := range readers {
		for size := range 2 * limit {
			r := wrap(bytes.NewReader(make([]byte, size)))
			buf, ended, err := readUpTo(r, make([]byte, 0, 8), limit)
			require.NoError(t, err)
			require.Equal(t, size <= limit, ended, "%s, %d bytes", name, size)
			require.Len(t, buf, min(size, limit+1))
			require.LessOrEqual(t, cap(buf), limit+1)
		}
	}
	for _, give := range []error{io.ErrUnexpectedEOF, fmt.Errorf("broken: %w", io.EOF)} {
		r := io.MultiReader(strings.NewReader("part"), iotest.ErrReader(give))
		buf, ended, err := readUpTo(r, make([]byte, 0, 8), limit)
		require.ErrorIs(t, err, give)
		require.False(t, ended)
		require.Nil(t, buf)
	}
}

func TestNoProxyOfTheEnvironment(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://proxy.test")
	req := httptest.NewRequest(http.MethodGet, "http://backend.test/", nil)
	proxy, err := newPool(new(Endpoint), "", 1).current().Proxy(req)
	require.NoError(t, err)
	require.Nil(t, proxy)
}

func TestFailureOfErrorsThatAreHardToMeet(t *testing.T) {
	t.Parallel()
	dial := func(err error) error {
		return &connectError{step: "connecting", err: &net.OpError{Op: "dial", Err: err}}
	}
	const unreachable, broken = domain.FailureUnreachable, domain.FailureBroken
	tests := []struct {
		give error
		want domain.FailureKind
		text string
	}{
		{dial(&net.DNSError{IsNotFound: true, Name: "h"}), unreachable, "no such host"},
		{dial(&net.DNSError{IsTimeout: true, Name: "h"}), unreachable, "the name lookup failed"},
		{dial(syscall.EHOSTUNREACH), unreachable, "no route to host"},
		{dial(syscall.ENETUNREACH), unreachable, "no route to host"},
		{dial(context.DeadlineExceeded), unreachable, "connecting timed out"},
		{dial(syscall.EACCES), unreachable, "connecting failed"},
		{
			&net.OpError{Op: "remote error", Err: errors.New("tls: certificate required")}, broken,
			"TLS alert from the backend: tls: certificate required",
		},
		{&net.OpError{Op: "write", Err: syscall.EPIPE}, broken, "connection reset"},
		{fmt.Errorf("odd: %w", io.EOF), broken, "the connection was closed before the response was complete"},
		{errSecondTry, broken, "the connection broke before the response"},
	}
	for _, tt := range tests {
		failure := failureOf(t.Context(), "h:80", tt.give)
		require.Equal(t, tt.want, failure.Kind)
		require.EqualError(t, failure.Err, tt.text)
		require.Equal(t, "h:80", failure.Address)
	}
	v4, v6 := &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1)}, &net.TCPAddr{IP: net.IPv6loopback}
	for _, tt := range []struct {
		give connectError
		want domain.FailureKind
	}{
		{connectError{err: syscall.EMFILE}, domain.FailureShortage},
		{connectError{err: syscall.ENFILE}, domain.FailureShortage},
		{connectError{err: syscall.ENOBUFS}, domain.FailureShortage},
		{connectError{err: syscall.ENOMEM}, domain.FailureShortage},
		{connectError{err: &net.OpError{Addr: v4, Err: syscall.EADDRNOTAVAIL}}, domain.FailureShortage},
		{connectError{err: &net.OpError{Addr: v6, Err: syscall.EADDRNOTAVAIL}}, unreachable}, // no IPv6 here
		{connectError{err: &net.DNSError{}, starved: true}, domain.FailureShortage},
		{connectError{err: syscall.ECONNREFUSED}, unreachable},
	} {
		require.Equal(t, tt.want, failureOf(t.Context(), "h:80", &tt.give).Kind, tt.give.err)
	}
	require.False(t, starved(&net.DNSError{}), "there are descriptors")
	require.Equal(t, "the certificate is not valid", certificateText(x509.ConstraintViolationError{}))
}
