package httpapi

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// rawRequest is the head of an HTTP/1.1 request as bytes, the last one on its connection.
func rawRequest(line string, fields ...string) string {
	fields = append([]string{line + " HTTP/1.1", "Host: gateway", "Connection: close"}, fields...)
	return strings.Join(fields, "\r\n") + "\r\n\r\n"
}

// withContent is the same with content.
func withContent(line, content string, fields ...string) string {
	return rawRequest(line, append(fields, fmt.Sprintf("Content-Length: %d", len(content)))...) + content
}

func TestProxyTakesARequestAsItIs(t *testing.T) {
	t.Parallel()
	large := strings.Repeat("\x00\xff\r\n", testBodyMax/4)
	connection := domain.Header{"Connection": {"close"}} // for the header policy to drop
	with := func(header domain.Header) domain.Header {
		header["Connection"] = connection["Connection"]
		return header
	}
	for _, tt := range []struct {
		name string
		give string
		want ports.Submission
	}{
		{
			"nothing but a path", rawRequest("GET /proxy/orders/a%2Fb//?c=1&c=2"),
			ports.Submission{Method: "GET", Path: "/a%2Fb//", Query: "c=1&c=2", Header: connection, Bodiless: true},
		},
		{
			"a method nobody knows", rawRequest("BrEw! /proxy/orders"),
			ports.Submission{Method: "BrEw!", Header: connection, Bodiless: true},
		},
		{"OPTIONS", rawRequest("OPTIONS /proxy/orders/*"), ports.Submission{
			Method: "OPTIONS", Path: "/*", Header: connection, Bodiless: true,
		}},
		{
			"POST without content", rawRequest("POST /proxy/orders/"),
			ports.Submission{Method: "POST", Path: "/", Header: connection, Bodiless: true},
		},
		{
			"empty content is content", withContent("POST /proxy/orders/", ""),
			ports.Submission{Method: "POST", Path: "/", Header: with(domain.Header{"Content-Length": {"0"}}), Body: []byte{}},
		},
		{
			"chunks, none of them", rawRequest("PROPFIND /proxy/orders/", "Transfer-Encoding: chunked") + "0\r\n\r\n",
			ports.Submission{Method: "PROPFIND", Path: "/", Header: connection, Body: []byte{}},
		},
		{
			"chunks, with trailer fields",
			rawRequest("PUT /proxy/orders", "Transfer-Encoding: chunked", "Trailer: X-End") +
				"3\r\n\x00\xff\n\r\n1\r\nx\r\n0\r\nX-End: 1\r\n\r\n",
			ports.Submission{Method: "PUT", Header: connection, Body: []byte("\x00\xff\nx")},
		},
		{
			"GET with content", withContent("GET /proxy/orders", "x"),
			ports.Submission{Method: "GET", Header: with(domain.Header{"Content-Length": {"1"}}), Body: []byte("x")},
		},
		{
			"any content",
			withContent("PATCH /proxy/orders", large, "Content-Type: a/b", "content-type: ;;", "Content-Encoding: gzip"),
			ports.Submission{Method: "PATCH", Body: []byte(large), Header: with(domain.Header{
				"Content-Type": {"a/b", ";;"}, "Content-Encoding": {"gzip"}, "Content-Length": {fmt.Sprint(len(large))},
			})},
		},
		{
			"fields repeated, in their order",
			rawRequest("GET /proxy/orders", "x-a: 2", "Cookie: a=b", "X-A: ", "X-B: ä", "X-A: 1", "Authorization: Bearer x"),
			ports.Submission{Method: "GET", Bodiless: true, Header: with(domain.Header{
				"X-A": {"2", "", "1"}, "X-B": {"ä"}, "Cookie": {"a=b"}, "Authorization": {"Bearer x"},
			})},
		},
		{
			"what is for us",
			rawRequest("GET /proxy/orders", "X-OpenHQM-Key: k", "X-OpenHQM-Priority: 7", "X-OpenHQM-ID: i",
				"Prefer: respond-async, a=b"),
			ports.Submission{Method: "GET", Bodiless: true, Priority: 7, Header: with(domain.Header{"Prefer": {"a=b"}})},
		},
		{
			"an idempotency key, which is for the backend too", rawRequest("GET /proxy/orders", `Idempotency-Key: "k1"`),
			ports.Submission{
				Method: "GET", Bodiless: true, IdempotencyKey: "k1", Header: with(domain.Header{"Idempotency-Key": {`"k1"`}}),
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, given := accepting()
			reply := start(t, f).exchange(tt.give)
			require.Contains(t, reply, "HTTP/1.1 202 Accepted\r\n")
			tt.want.Caller, tt.want.Origin, tt.want.Endpoint = everybody, fromHere("gateway"), "orders"
			require.Equal(t, tt.want, <-given)
		})
	}
}

func TestProxyIsAnsweredWithAReceipt(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "OPTIONS", "PROPFIND"} {
		f, _ := accepting()
		r := start(t, f)
		a := r.do(method, "/proxy/orders/x", "")
		if method == http.MethodHead {
			require.Empty(t, a.body)
			a.body = string(receiptDocument(ports.Receipt{ID: testID, SubmittedAt: testNow}, domain.Pending))
		}
		requireReceipt(t, a)
		require.Equal(t, "Prefer", a.Header.Get("Vary"))
		require.False(t, a.Close, "the connection can be used again")
		require.Equal(t, observed{knownMethod(method), "/proxy/{endpoint}", 202}, <-r.observed)
		require.Empty(t, r.log.String(), "no line per request")
	}
}

func TestProxyRefuses(t *testing.T) {
	t.Parallel()
	many := strings.Repeat("X-A:\r\n", envelope.MaxHeaderFields) + "X-A:"
	for _, tt := range []struct{ name, give, status, field string }{
		{"no endpoint", rawRequest("GET /proxy//orders"), "404", ""},
		{"an option", rawRequest("GET /proxy/orders", "X-OpenHQM-Priority: 10"), "400", "X-OpenHQM-Priority"},
		{
			"an option given twice", rawRequest("GET /proxy/orders", "X-OpenHQM-Delay: 1", "x-openhqm-delay: 1"),
			"400", "X-OpenHQM-Delay",
		},
		{"a malformed idempotency key", rawRequest("GET /proxy/orders", `Idempotency-Key: a b`), "400", "Idempotency-Key"},
		{"a value that is no UTF-8", rawRequest("GET /proxy/orders", "X-A: \xe9"), "400", "X-A"},
		{"more fields than a message has", rawRequest("GET /proxy/orders", many), "400", "headers"},
		{"a long method", rawRequest(strings.Repeat("M", envelope.MaxMethod+1) + " /proxy/orders"), "400", "method"},
		{"a long path", rawRequest("GET /proxy/orders/" + strings.Repeat("x", envelope.MaxTarget)), "400", "path"},
		{"a large body", rawRequest("PUT /proxy/orders", "Content-Length: 99999999"), "413", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, given := accepting()
			r := start(t, f)
			reply := r.exchange(tt.give)
			require.Contains(t, reply, "HTTP/1.1 "+tt.status+" ")
			require.Contains(t, reply, problemType)
			if tt.field != "" {
				require.Contains(t, reply, `"field":"`+tt.field+`"`)
			}
			require.Empty(t, given)
		})
	}
}

// TestProxyNamesFieldsAsTheClientSaidThem is about what the use-case refuses.
func TestProxyNamesFieldsAsTheClientSaidThem(t *testing.T) {
	t.Parallel()
	for give, want := range map[string]string{
		"metadata.timeout": "X-OpenHQM-Timeout", "metadata.not_before": "X-OpenHQM-Not-Before", "metadata.path": "path",
		"metadata.max_attempts": "X-OpenHQM-Max-Attempts", "metadata.method": "method", "else": "else",
	} {
		refuse := func(ports.Submission) error { return &domain.Invalid{Field: give, Reason: "is bad"} }
		r := start(t, &fakes{check: refuse, submit: func(_ context.Context, s ports.Submission) (ports.Receipt, error) {
			return ports.Receipt{}, refuse(s)
		}})
		for _, body := range []string{"", "x"} {
			p := requireProblem(t, r.do("POST", "/proxy/orders", body), http.StatusBadRequest, "VALIDATION_ERROR")
			require.Equal(t, want, p["field"])
			require.Contains(t, p["detail"], want+": is bad")
		}
	}
}

// TestNobodySendsABodyInVain holds that a client which waits for 100 Continue hears of a refusal before it sends, and
// that the others are not listened to.
func TestNobodySendsABodyInVain(t *testing.T) {
	t.Parallel()
	r := start(t, &fakes{check: func(s ports.Submission) error {
		switch s.Endpoint {
		case "orders":
			return nil
		case "forbidden":
			return ports.ErrForbidden
		}
		return ports.ErrUnknownEndpoint
	}, submit: func(_ context.Context, s ports.Submission) (ports.Receipt, error) {
		require.NotContains(t, s.Header, "Expect", "it was for us")
		return ports.Receipt{ID: testID}, nil
	}}, func(o *Options) { o.Access.Keys = testKeys() })
	for _, tt := range []struct {
		target, key string
		length      int
		want        int
	}{
		{"/proxy/orders", "shop", 10, 100},
		{"/proxy/orders", "wrong", 10, 401},
		{"/proxy/unknown", "shop", 10, 404},
		{"/proxy/forbidden", "shop", 10, 403},
		{"/proxy/orders", "shop", testBodyMax + 1, 413},
	} {
		conn, err := r.dial()
		require.NoError(t, err)
		_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: a\r\nX-OpenHQM-Key: %s\r\nContent-Length: %d\r\n"+
			"Expect: 100-continue\r\n\r\n", tt.target, tt.key, tt.length)
		require.NoError(t, err)
		reader := bufio.NewReader(conn)
		response, err := http.ReadResponse(reader, nil)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, tt.want, response.StatusCode, tt.target)
		if tt.want == http.StatusContinue {
			_, err = io.WriteString(conn, "0123456789")
			require.NoError(t, err)
			response, err = http.ReadResponse(reader, nil)
			require.NoError(t, err)
			require.Equal(t, http.StatusAccepted, readAnswer(t, response).StatusCode)
		} else {
			require.True(t, response.Close, "the rest is not read")
		}
		require.NoError(t, conn.Close())
	}
}

func TestProxyThatWaitsIsAnsweredAsTheBackendDid(t *testing.T) {
	t.Parallel()
	record := pendingRecord
	record.Status = domain.Completed
	record.Result = &domain.Result{Response: &domain.Response{
		StatusCode: 207, Body: []byte("\x00\xff"),
		Header: domain.Header{"Vary": {"Accept"}, "Location": {"/theirs"}, "X-A": {"2", "1"}, "Preference-Applied": {"a=b"}},
	}}
	r := start(t, ending(func(context.Context, domain.ID, time.Duration) (domain.Record, error) { return record, nil }))
	requireReceipt(t, r.do("POST", "/proxy/orders", "x"))
	// Ranges and conditions were the backend's to judge.
	a := r.do("PUT", "/proxy/orders/x", "x", "Prefer", "wait=5", "Range", "bytes=0-0", "If-Match", `"a"`)
	require.Equal(t, 207, a.StatusCode)
	require.Equal(t, "\x00\xff", a.body)
	require.Equal(t, []string{"Accept", "Prefer"}, a.Header.Values("Vary"))
	require.Equal(t, []string{"a=b", "wait=5"}, a.Header.Values("Preference-Applied"))
	require.Equal(t, []string{"/theirs"}, a.Header.Values("Location"))
	require.Equal(t, []string{"2", "1"}, a.Header.Values("X-A"))
	require.Equal(t, "1", a.Header.Get("X-OpenHQM-Replay"))
	require.Equal(t, "sandbox", a.Header.Get("Content-Security-Policy"))
	require.Equal(t, []string{string(testID)}, a.Header.Values("X-Correlation-ID"))
	require.Equal(t, "COMPLETED", a.Header.Get("X-OpenHQM-Status"))

	record.Status, record.Result = domain.TimedOut, &domain.Result{Error: "cause"}
	a = r.do("PUT", "/proxy/orders/x", "x", "Prefer", "wait=5")
	p := requireProblem(t, a, http.StatusGatewayTimeout, "BACKEND_TIMEOUT")
	require.Equal(t, string(testID), p["correlation_id"])
	require.Equal(t, "wait=5", a.Header.Get("Preference-Applied"))
}

func TestProxyIsAcceptedWhateverBecomesOfTheWait(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{"not final": nil, "the store is away": ports.ErrUnavailable} {
		r := start(t, ending(func(context.Context, domain.ID, time.Duration) (domain.Record, error) {
			return pendingRecord, err
		}))
		a := r.do("GET", "/proxy/orders", "", "Prefer", "wait=1")
		requireReceipt(t, a)
		require.Equal(t, "wait=1", a.Header.Get("Preference-Applied"), name)
	}
}

func TestCredentialsOfTheGatewayAreNotSubmitted(t *testing.T) {
	t.Parallel()
	f, given := accepting()
	r := start(t, f, func(o *Options) { o.Access.Keys = testKeys() })
	a := r.do("GET", "/proxy/orders", "", "X-OpenHQM-Key", "shop")
	require.Equal(t, http.StatusAccepted, a.StatusCode)
	s := <-given
	require.Equal(t, "shop", s.Caller.Name)
	require.NotContains(t, s.Header, domain.HeaderKey)
}
