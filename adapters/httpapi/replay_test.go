package httpapi

import (
	"fmt"
	"net/http"
	"strconv"
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

// TestRawOfAResponseToHEAD holds that the length of what was not sent is told where it can be, and that none is made up
// (RFC 9110 section 8.6).
func TestRawOfAResponseToHEAD(t *testing.T) {
	t.Parallel()
	told := func(length ...string) domain.Header { return domain.Header{"Content-Length": length} }
	for name, tt := range map[string]struct {
		fields domain.Header
		want   []string
	}{
		"told":              {told("1234"), []string{"1234"}},
		"told to be empty":  {told("0"), []string{"0"}},
		"not told":          {nil, nil},
		"told encoded":      {domain.Header{"Content-Encoding": {"x"}, "Content-Length": {"12"}}, []string{"12"}},
		"not told, encoded": {domain.Header{"Content-Encoding": {"x"}}, nil},
		"nonsense":          {told("-1"), nil},
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

// TestHEADHasNoRanges holds that they are GET's alone (RFC 9110 section 14.2).
func TestHEADHasNoRanges(t *testing.T) {
	t.Parallel()
	r := start(t, found(kept(200, "0123456789", domain.Header{"Etag": {`"a"`}})))
	for path, length := range map[string]int{rawURL: 10, openAPIPath: len(openAPIDocument)} {
		for _, ask := range []string{"bytes=0-0", "bytes=0-0,2-2", "bytes=9999999-", "bytes=x"} {
			a := r.do("HEAD", path, "", "Range", ask)
			require.Equal(t, http.StatusOK, a.StatusCode)
			require.Equal(t, strconv.Itoa(length), a.Header.Get("Content-Length"))
			require.Empty(t, a.Header.Get("Content-Range"))
		}
	}
}

// TestRefusedRangesAndConditionsAreOurs holds that what the backend did not answer is not shown as its answer.
func TestRefusedRangesAndConditionsAreOurs(t *testing.T) {
	t.Parallel()
	theirs := domain.Header{
		"Etag": {`"a"`}, "Last-Modified": {"Thu, 01 Jan 2026 00:00:00 GMT"}, "Cache-Control": {"public"},
		"Content-Type": {"text/plain"}, "Content-Encoding": {"x"}, "Set-Cookie": {"a=1"}, "X-A": {"1"},
	}
	record := kept(200, "0123456789", theirs)
	plain := start(t, found(record), func(o *Options) { o.Keys = testKeys() })
	for _, tt := range []struct {
		ask  []string
		want int
		code string
		size []string
	}{
		{[]string{"Range", "bytes=10-"}, 416, "RANGE_NOT_SATISFIABLE", []string{"bytes */10"}},
		{[]string{"Range", "bytes=x"}, 416, "RANGE_NOT_SATISFIABLE", []string{"bytes */10"}},
		{[]string{"If-Match", `"b"`}, 412, "PRECONDITION_FAILED", nil},
		{[]string{"If-Unmodified-Since", "Wed, 31 Dec 2025 00:00:00 GMT"}, 412, "PRECONDITION_FAILED", nil},
	} {
		for _, r := range []*rig{plain, plain.http2()} {
			a := r.do("GET", rawURL, "", append(tt.ask, "X-OpenHQM-Key", "ops")...)
			p := requireProblem(t, a, tt.want, tt.code)
			require.Equal(t, string(testID), p["correlation_id"])
			require.Equal(t, tt.size, a.Header["Content-Range"])
			require.Equal(t, []string{"COMPLETED"}, a.Header["X-Openhqm-Status"])
			require.Equal(t, []string{"no-store"}, a.Header["Cache-Control"])
			for _, name := range []string{
				"X-Openhqm-Replay", "Etag", "Last-Modified", "Content-Encoding", "Set-Cookie", "X-A", "Accept-Ranges",
				"Content-Security-Policy",
			} {
				require.NotContains(t, a.Header, name)
			}
			a = r.do("GET", rawURL, "", "X-OpenHQM-Key", "ops")
			require.Equal(t, "0123456789", a.body, "the next on the same connection")
		}
	}
}

func TestRawRangesAndConditions(t *testing.T) {
	t.Parallel()
	const modified, before = "Thu, 01 Jan 2026 00:00:00 GMT", "Wed, 31 Dec 2025 00:00:00 GMT"
	plain := domain.Header{"Content-Type": {"text/plain"}}
	known := domain.Header{"Content-Type": {"text/plain"}, "Etag": {`"a"`}, "Last-Modified": {modified}}
	encoded := domain.Header{"Content-Type": {"text/plain"}, "Etag": {`"a"`}, "Content-Encoding": {"x"}}
	for _, tt := range []struct {
		name   string
		status int
		fields domain.Header
		ask    []string
		want   int
		body   string
	}{
		{"a range", 200, plain, []string{"Range", "bytes=2-4"}, 206, "234"},
		{"of encoded content", 200, encoded, []string{"Range", "bytes=-3"}, 206, "789"},
		{"a range of something else", 200, plain, []string{"Range", "lines=1-2"}, 200, "0123456789"},
		{"if it is the same", 200, known, []string{"Range", "bytes=0-0", "If-Range", `"a"`}, 206, "0"},
		{"if the same, but it is not", 200, known, []string{"Range", "bytes=0-0", "If-Range", `"b"`}, 200, "0123456789"},
		{"still the same", 200, known, []string{"If-None-Match", `"b", "a"`}, 304, ""},
		{"another", 200, known, []string{"If-None-Match", `"b"`}, 200, "0123456789"},
		{"no tag, so another", 200, plain, []string{"If-None-Match", `"b"`}, 200, "0123456789"},
		{"not modified since", 200, known, []string{"If-Modified-Since", modified}, 304, ""},
		{"modified since", 200, known, []string{"If-Modified-Since", before}, 200, "0123456789"},
		{"of another status", 203, known, []string{"Range", "bytes=0-0", "If-None-Match", `"a"`}, 203, "0123456789"},
		{"of a failure", 500, known, []string{"Range", "bytes=0-0"}, 500, "0123456789"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := start(t, found(kept(tt.status, "0123456789", tt.fields)))
			for range 2 {
				a := r.do("GET", rawURL, "", tt.ask...)
				require.Equal(t, tt.want, a.StatusCode)
				require.Equal(t, tt.body, a.body)
				require.False(t, a.Close)
			}
		})
	}
}

func TestRawInSeveralRanges(t *testing.T) {
	t.Parallel()
	r := start(t, found(kept(200, "0123456789", domain.Header{"Content-Type": {"a/b"}})))
	a := r.do("GET", rawURL, "", "Range", "bytes=0-1,8-9")
	require.Equal(t, http.StatusPartialContent, a.StatusCode)
	require.Contains(t, a.Header.Get("Content-Type"), "multipart/byteranges")
	require.Contains(t, a.body, "Content-Range: bytes 8-9/10\r\nContent-Type: a/b\r\n\r\n89")
}

// TestLastModifiedIsNotWrittenAnew is about a form that is obsolete (RFC 9110 section 5.6.7), and one that is none.
func TestLastModifiedIsNotWrittenAnew(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"Sunday, 06-Nov-94 08:49:37 GMT", "yesterday"} {
		r := start(t, found(kept(200, "x", domain.Header{"Last-Modified": {value}})))
		a := r.do("GET", rawURL, "", "If-Modified-Since", "Thu, 01 Jan 2026 00:00:00 GMT")
		require.Equal(t, http.StatusOK, a.StatusCode)
		require.Equal(t, []string{value}, a.Header.Values("Last-Modified"))
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
		{"nothing is known", domain.Failed, nil, 502, "BACKEND_FAILED", "is kept"},
		{"too late", domain.TimedOut, &domain.Result{Error: "too late"}, 504, "BACKEND_TIMEOUT", ": too late"},
		{"cancelled", domain.Cancelled, nil, 410, "GONE", "cancelled"},
		{"completed, without any", domain.Completed, &domain.Result{}, 502, "BACKEND_FAILED", "is kept"},
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
	r := start(t, found(record), func(o *Options) { o.Keys = testKeys() })
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
				requireProblem(t, r.do("GET", rawURL, ""), http.StatusServiceUnavailable, "QUEUE_FULL")
				<-time.After(testTimeout)
				a := r.do("GET", rawURL, "")
				require.Equal(t, status, a.StatusCode)
				require.Len(t, a.body, largeSize)
				require.NoError(t, conn.Close())
			})
		})
	}
}
