package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// terms is what nginx serves as /terms.txt.
var terms = strings.Repeat("Payment within 30 days.\n", 100)

func startNginx(t *testing.T) *testkit.Nginx {
	t.Helper()
	return testkit.StartNginx(t, `
		location /moved { return 301 /terms.txt?from=moved; }
		location /cookies { add_header Set-Cookie a=1; add_header Set-Cookie b=2; return 200 ok; }
		location /zip { gzip on; gzip_min_length 1; try_files /terms.txt =404; }
		location = /upload.bin { dav_methods PUT; }
	`, map[string]string{"terms.txt": terms, "é +.txt": "x", "upload.bin": "older"})
}

// etagOf asks nginx itself.
func etagOf(t *testing.T, url string) string {
	t.Helper()
	response, err := http.Head(url)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	return response.Header.Get("Etag")
}

// A web server that none of us wrote is the same through the gateway as by itself.
func TestARealServerIsTheSameThroughTheGateway(t *testing.T) {
	t.Parallel()
	nginx := startNginx(t)
	gateway := testkit.NewGateway(t, testkit.OneBackend(nginx.URL)).Start()
	cases := nginxCases(etagOf(t, nginx.URL+"/terms.txt"))
	for name, call := range theClients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outcomes := call(t, exchangesOf(cases, nginx.URL, gateway.Client().Address))

			require.Len(t, outcomes, len(cases))
			for i := range cases {
				t.Run(cases[i].name, func(t *testing.T) {
					requireReplayed(t, &cases[i], &outcomes[i])
					requireLogged(t, nginx, &cases[i], &outcomes[i])
				})
			}
		})
	}
}

func nginxCases(etag string) []proxyCase {
	file := func(header ...[2]string) exchange {
		return exchange{Method: "GET", Target: "/terms.txt", Header: header}
	}
	return []proxyCase{
		{name: "a file", give: exchange{Method: "GET", Target: "/terms.txt?v=2"}, status: 200},
		{name: "its fields", give: exchange{Method: "HEAD", Target: "/terms.txt"}, status: 200, nothing: true},
		{name: "an escaped name", give: exchange{Method: "GET", Target: "/%C3%A9%20+.txt"}, status: 200},
		{name: "a part", give: file([2]string{"Range", "bytes=8-13"}), status: 206},
		{name: "no such part", give: file([2]string{"Range", "bytes=99999-"}), status: 416},
		{name: "the same still", give: file([2]string{"If-None-Match", etag}), status: 304, nothing: true},
		{name: "another", give: file([2]string{"If-Match", `"other"`}), status: 412},
		{name: "compressed", give: exchange{
			Method: "GET", Target: "/zip", Header: [][2]string{{"Accept-Encoding", "gzip"}},
		}, status: 200},
		{name: "a redirect", give: exchange{Method: "GET", Target: "/moved"}, status: 301},
		{name: "cookies", give: exchange{Method: "GET", Target: "/cookies"}, status: 200},
		{name: "an upload", give: exchange{Method: "PUT", Target: "/upload.bin", Body: []byte("\x00\xff")}, status: 204},
		{name: "what is not there", give: exchange{Method: "GET", Target: "/nowhere"}, status: 404},
		{name: "a method that it does not have", give: exchange{Method: "PATCH", Target: "/terms.txt"}, status: 405},
	}
}

// requireLogged looks into nginx's own record, which it writes after it has answered.
func requireLogged(t *testing.T, nginx *testkit.Nginx, c *proxyCase, o *outcome) {
	t.Helper()
	id := o.Accepted.header().Get("X-Correlation-Id")
	testkit.Until(t, "nginx has noted the call", func() bool { return len(nginx.CallsOf(id)) > 0 })
	want := fmt.Sprintf("%s %s %s %d", c.give.Method, c.give.Target, id, o.Direct.Status)
	require.Equal(t, []string{want}, nginx.CallsOf(id))
}

// Ranges and conditions of a replay are as the backend would have served them. What is refused is the gateway's answer.
func TestPartsOfAReplayCanBeAskedFor(t *testing.T) {
	t.Parallel()
	nginx := startNginx(t)
	client := testkit.NewGateway(t, testkit.OneBackend(nginx.URL)).Start().Client()
	accepted, err := client.Call(t.Context(), http.MethodGet, "/proxy/backend/terms.txt", nil, nil)
	require.NoError(t, err)
	raw := "/api/v1/response/" + accepted.Header.Get("X-Correlation-Id") + "/raw?wait=60s"
	etag := etagOf(t, nginx.URL+"/terms.txt")
	for _, tt := range []struct {
		name, value string
		wantCode    int
		wantBody    string
		wantRange   string
	}{
		{"Range", "bytes=8-13", 206, "within", "bytes 8-13/2400"},
		{"Range", "bytes=-6", 206, "days.\n", "bytes 2394-2399/2400"},
		{"If-None-Match", etag, 304, "", ""},
		{"If-None-Match", `"other"`, 200, terms, ""},
	} {
		answer, err := client.Call(t.Context(), http.MethodGet, raw, http.Header{tt.name: {tt.value}}, nil)
		require.NoError(t, err)
		require.Equal(t, tt.wantCode, answer.Code, tt)
		require.Equal(t, tt.wantBody, string(answer.Body), tt)
		require.Equal(t, tt.wantRange, answer.Header.Get("Content-Range"), tt)
		require.Equal(t, etag, answer.Header.Get("Etag"), tt)
		require.Equal(t, "1", answer.Header.Get("X-Openhqm-Replay"), tt)
	}
	for name, tt := range map[string]struct{ value, code, size string }{
		"Range":    {"bytes=2400-", "RANGE_NOT_SATISFIABLE", "bytes */2400"},
		"If-Match": {`"other"`, "PRECONDITION_FAILED", ""},
	} {
		answer, err := client.Call(t.Context(), http.MethodGet, raw, http.Header{name: {tt.value}}, nil)
		require.NoError(t, err)
		require.Contains(t, string(answer.Body), tt.code)
		require.Equal(t, tt.size, answer.Header.Get("Content-Range"))
		require.Empty(t, answer.Header.Get("X-Openhqm-Replay"), name)
	}
}

// A client that prefers to wait talks to the backend as if there was no gateway.
func TestAClientThatWaitsGetsTheBackendsAnswer(t *testing.T) {
	t.Parallel()
	nginx := startNginx(t)
	client := testkit.NewGateway(t, testkit.OneBackend(nginx.URL)).Start().Client()
	prefer := http.Header{"Prefer": {"wait=60"}}
	for path, want := range map[string]int{"/terms.txt": 200, "/moved": 301, "/nowhere": 404} {
		direct, err := http.DefaultTransport.RoundTrip(newRequest(t, nginx.URL+path))
		require.NoError(t, err)
		own := readReply(t, direct)

		answer, err := http.DefaultTransport.RoundTrip(newRequest(t, "http://"+client.Address+"/proxy/backend"+path, prefer))
		require.NoError(t, err)
		require.Equal(t, "wait=55", answer.Header.Get("Preference-Applied"))
		got := readReply(t, answer)

		require.Equal(t, want, own.Status)
		require.Equal(t, want, got.Status)
		require.Equal(t, string(own.Body), string(got.Body))
		require.Equal(t, own.header().Get("Location"), got.header().Get("Location"))
	}
}

func newRequest(t *testing.T, url string, header ...http.Header) *http.Request {
	t.Helper()
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	for _, fields := range header {
		request.Header = fields.Clone()
	}
	return request
}
