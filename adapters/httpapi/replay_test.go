package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

const rawURL = responseURL + "/raw"

// kept is a record that is final with this response.
func kept(status int, body string, fields domain.Header) domain.Record {
	record := pendingRecord
	record.Status = domain.Completed
	record.Result = &domain.Result{Response: &domain.Response{StatusCode: status, Header: fields, Body: []byte(body)}}
	record.ResponseSize = record.Result.Response.Size()
	return record
}

// ours are the fields that a replay adds on the gateway's own address.
func ours(status domain.Status) http.Header {
	return http.Header{
		"X-Correlation-Id": {string(testID)}, "X-Openhqm-Status": {string(status)}, "X-Openhqm-Replay": {"1"},
		"Content-Security-Policy": {"sandbox"}, "X-Content-Type-Options": {"nosniff"},
	}
}

// requireReplay checks that the header of an answer is want and what every replay has.
func requireReplay(t *testing.T, a answer, want http.Header) {
	t.Helper()
	got := a.Header.Clone()
	if want.Get("Date") == "" {
		got.Del("Date")
	}
	all := ours(domain.Completed)
	for name, values := range want {
		if values == nil {
			delete(all, name)
			continue
		}
		all[name] = values
	}
	require.Equal(t, all, got)
}

func TestRawIsTheResponseAsItWas(t *testing.T) {
	t.Parallel()
	const date = "Tue, 01 Jan 2019 00:00:00 GMT"
	for name, tt := range map[string]struct {
		give domain.Record
		want http.Header // besides what every replay has
	}{
		"bytes": {
			kept(200, "\x00\xff\r\n<html>", domain.Header{"Content-Type": {"a/b;;"}, "Content-Length": {"8"}}),
			http.Header{"Content-Type": {"a/b;;"}, "Content-Length": {"10"}, "Accept-Ranges": {"bytes"}},
		},
		"no type, which nobody guesses": {
			kept(200, "<html>", nil), http.Header{"Content-Length": {"6"}, "Accept-Ranges": {"bytes"}},
		},
		"encoded": {
			kept(200, "gzipped", domain.Header{"Content-Encoding": {"gzip"}, "Content-Type": {"text/plain"}}),
			http.Header{
				"Content-Encoding": {"gzip"}, "Content-Type": {"text/plain"}, "Content-Length": {"7"}, "Accept-Ranges": {"bytes"},
			},
		},
		"a failure of the backend": {kept(500, "oops", nil), http.Header{"Content-Length": {"4"}}},
		"a redirect": {
			kept(302, "", domain.Header{"Location": {"//else"}, "Content-Length": {"0"}}),
			http.Header{"Location": {"//else"}, "Content-Length": {"0"}},
		},
		"a status without a name": {kept(999, "odd", nil), http.Header{"Content-Length": {"3"}}},
		"created":                 {kept(201, "x", nil), http.Header{"Content-Length": {"1"}}},
		"no content":              {kept(204, "", domain.Header{"Etag": {`"a"`}}), http.Header{"Etag": {`"a"`}}},
		"content that cannot be":  {kept(204, "x", domain.Header{"Content-Length": {"1"}}), nil},
		"not modified":            {kept(304, "", domain.Header{"Etag": {`"a"`}}), http.Header{"Etag": {`"a"`}}},
		"repeated fields, in their order": {
			kept(404, "x", domain.Header{"Set-Cookie": {"b=2", "a=1", "b=2"}, "Date": {date}, "Cache-Control": {"public"}}),
			http.Header{
				"Set-Cookie": {"b=2", "a=1", "b=2"}, "Date": {date}, "Cache-Control": {"public"}, "Content-Length": {"1"},
			},
		},
		"fields of the connection": {
			kept(404, "x", domain.Header{
				"Connection": {"close, x-hop"}, "X-Hop": {"1"}, "Transfer-Encoding": {"chunked"}, "Keep-Alive": {"a"},
				"Upgrade": {"b"}, "Trailer": {"c"}, "Proxy-Authenticate": {"d"},
			}),
			http.Header{"Content-Length": {"1"}},
		},
		"fields that speak for the whole address": {
			kept(404, "x", domain.Header{
				"Access-Control-Allow-Origin": {"*"}, "Access-Control-Expose-Headers": {"*"}, "Alt-Svc": {`h3=":443"`},
				"Clear-Site-Data": {`"*"`}, "Nel": {"{}"}, "Public-Key-Pins": {"a"}, "Report-To": {"{}"},
				"Public-Key-Pins-Report-Only": {"a"}, "Reporting-Endpoints": {"a"}, "Service-Worker-Allowed": {"/"},
				"Strict-Transport-Security": {"max-age=1"}, "Timing-Allow-Origin": {"*"}, "Accept-Ch": {"a"}, "X-Kept": {"1"},
			}),
			http.Header{"X-Kept": {"1"}, "Content-Length": {"1"}},
		},
		"a policy of its own": {
			kept(404, "x", domain.Header{
				"Content-Security-Policy": {"default-src 'none'"}, "X-Content-Type-Options": {"x"},
				"X-Correlation-Id": {"theirs"}, "X-Openhqm-Status": {"theirs"}, "X-Openhqm-Id": {"theirs"},
			}),
			http.Header{
				"Content-Security-Policy": {"default-src 'none'", "sandbox"}, "X-Openhqm-Id": {"theirs"}, "Content-Length": {"1"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t, found(tt.give))
			r.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
			response := tt.give.Result.Response
			for range 2 { // the second on the same connection
				for _, method := range []string{"GET", "HEAD"} {
					a := r.do(method, rawURL, "", "Accept-Encoding", "identity")
					require.Equal(t, response.StatusCode, a.StatusCode)
					requireReplay(t, a, tt.want)
					require.False(t, a.Close)
					if method == "GET" && !hasNoContent(response.StatusCode) {
						require.Equal(t, string(response.Body), a.body)
					} else {
						require.Empty(t, a.body)
					}
					require.Equal(t, observed{method, "/api/v1/response/{id}/raw", response.StatusCode}, <-r.observed)
				}
			}
			require.Empty(t, r.log.String())
		})
	}
}

// TestRawOfAResponseToHEAD checks that the length of unsent content is returned where it is known, and never made up
// (RFC 9110 section 8.6).
func TestRawOfAResponseToHEAD(t *testing.T) {
	t.Parallel()
	declared := func(length ...string) domain.Header { return domain.Header{"Content-Length": length} }
	for name, tt := range map[string]struct {
		fields domain.Header
		want   []string
	}{
		"declared":              {declared("1234"), []string{"1234"}},
		"declared empty":        {declared("0"), []string{"0"}},
		"not declared":          {nil, nil},
		"declared, encoded":     {domain.Header{"Content-Encoding": {"x"}, "Content-Length": {"12"}}, []string{"12"}},
		"not declared, encoded": {domain.Header{"Content-Encoding": {"x"}}, nil},
		"nonsense":              {declared("-1"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, status := range []int{200, 404} {
				plain := start(t, found(kept(status, "", tt.fields)))
				for _, r := range []*rig{plain, plain.http2()} {
					for range 2 {
						require.Equal(t, tt.want, r.do("HEAD", rawURL, "").Header["Content-Length"])
						a := r.do("GET", rawURL, "")
						require.Equal(t, []string{"0"}, a.Header["Content-Length"])
						require.Empty(t, a.body)
					}
				}
			}
		})
	}
}

func answeredWith(status int) *domain.Result {
	return &domain.Result{Response: &domain.Response{StatusCode: status}}
}

func TestRawWithoutAResponse(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		status domain.Status
		result *domain.Result
		want   int
		code   string
		detail string
	}{
		{"failed", domain.Failed, &domain.Result{Error: "refused"}, 502, "BACKEND_FAILED", ": refused"},
		{"nothing is known", domain.Failed, nil, 502, "BACKEND_FAILED", "no backend response was kept"},
		{"too late", domain.TimedOut, &domain.Result{Error: "too late"}, 504, "BACKEND_TIMEOUT", ": too late"},
		{"cancelled", domain.Cancelled, nil, 410, "GONE", "cancelled"},
		{"completed, without any", domain.Completed, &domain.Result{}, 502, "BACKEND_FAILED", "no backend response was kept"},
		{"interim", domain.Completed, answeredWith(101), 502, "BACKEND_FAILED", "status"},
		{"no status", domain.Completed, answeredWith(0), 502, "BACKEND_FAILED", "status"},
		{"four digits", domain.Completed, answeredWith(1000), 502, "BACKEND_FAILED", "status"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			record := pendingRecord
			record.Status, record.Result = tt.status, tt.result
			r := start(t, found(record))
			a := r.do("GET", rawURL, "")
			p := requireProblem(t, a, tt.want, tt.code)
			require.Contains(t, p["detail"], tt.detail)
			require.Equal(t, string(testID), p["correlation_id"])
			require.Equal(t, string(tt.status), a.Header.Get("X-OpenHQM-Status"))
			require.Empty(t, a.Header.Get("X-OpenHQM-Replay"))
			require.Equal(t, tt.want, r.do("HEAD", rawURL, "").StatusCode)
			require.Empty(t, r.log.String())
		})
	}
}

func TestRawOfAFailureWithAResponse(t *testing.T) {
	t.Parallel()
	for _, status := range []domain.Status{domain.Failed, domain.TimedOut} {
		record := kept(503, "sorry", nil)
		record.Status = status
		a := start(t, found(record)).do("GET", rawURL, "")
		require.Equal(t, 503, a.StatusCode)
		require.Equal(t, "sorry", a.body)
		require.Equal(t, string(status), a.Header.Get("X-OpenHQM-Status"))
	}
}

func TestRawDuringADrainIsTheLastOfItsConnection(t *testing.T) {
	t.Parallel()
	r := start(t, found(kept(404, "x", nil)))
	r.server.Drain()
	a := r.do("GET", rawURL, "")
	require.Equal(t, "x", a.body)
	require.True(t, a.Close)
}

func TestRawThatIsNotFinal(t *testing.T) {
	t.Parallel()
	r := start(t, found(pendingRecord))
	a := r.do("GET", rawURL+"?wait=1s", "")
	require.Equal(t, http.StatusAccepted, a.StatusCode)
	require.Equal(t, "1", a.Header.Get("Retry-After"))
	requireRecordFields(t, a, domain.Pending)
	requireProblem(t, r.do("GET", rawURL+"?wait=x", ""), http.StatusBadRequest, "VALIDATION_ERROR")
	requireProblem(t, r.do("GET", "/api/v1/response/a!/raw", ""), http.StatusNotFound, "NOT_FOUND")
	requireProblem(t, r.do("POST", rawURL, ""), http.StatusMethodNotAllowed, "METHOD_NOT_ALLOWED")
}

// TestRawIsNotForTheCacheOfAnother is about what a backend says of caching, which knows nothing of keys.
func TestRawIsNotForTheCacheOfAnother(t *testing.T) {
	t.Parallel()
	record := kept(200, "x", domain.Header{"Vary": {"Accept"}, "Cache-Control": {"public"}})
	r := start(t, found(record), func(o *Options) { o.Access.Keys = testKeys() })
	a := r.do("GET", rawURL, "", "X-OpenHQM-Key", "ops")
	require.Equal(t, []string{"Accept", "X-OpenHQM-Key"}, a.Header.Values("Vary"))
}

// TestRawTakesRoomForItself holds that a response which is replayed is counted once, and that a client who does not
// read it loses its connection and the room with it.
func TestRawTakesRoomForItself(t *testing.T) {
	t.Parallel()
	for _, status := range []int{200, 500} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				record := kept(status, strings.Repeat("x", largeSize), nil)
				r := startPiped(t, found(record), func(o *Options) { o.MaxResponseBytes = record.ResponseSize })
				conn, err := r.dial()
				require.NoError(t, err)
				_, err = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: gateway\r\n\r\n", rawURL)
				require.NoError(t, err)
				_, err = conn.Read(make([]byte, 100))
				require.NoError(t, err)
				requireProblem(t, r.do("GET", rawURL, ""), http.StatusServiceUnavailable, "OVERLOADED")
				<-time.After(testTimeout)
				a := r.do("GET", rawURL, "")
				require.Equal(t, status, a.StatusCode)
				require.Len(t, a.body, largeSize)
				require.NoError(t, conn.Close())
			})
		})
	}
}
