package httpapi

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

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

// TestLastModifiedIsNotReformatted covers an obsolete format (RFC 9110 section 5.6.7), and an invalid one.
func TestLastModifiedIsNotReformatted(t *testing.T) {
	t.Parallel()
	for _, value := range []string{"Sunday, 06-Nov-94 08:49:37 GMT", "yesterday"} {
		r := start(t, found(kept(200, "x", domain.Header{"Last-Modified": {value}})))
		a := r.do("GET", rawURL, "", "If-Modified-Since", "Thu, 01 Jan 2026 00:00:00 GMT")
		require.Equal(t, http.StatusOK, a.StatusCode)
		require.Equal(t, []string{value}, a.Header.Values("Last-Modified"))
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
	plain := start(t, found(record), func(o *Options) { o.Access.Keys = testKeys() })
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
