package e2e_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"mime/multipart"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// theClients are programs that people use.
var theClients = map[string]client{
	"Go net/http":     goClient,
	"curl":            curl(),
	"curl h2c":        curl("--http2-prior-knowledge"),
	"Node fetch":      nodeFetch,
	"Python requests": pythonRequests,
}

// caseField says the backend which case a request is of; its answers go by it.
const caseField = "X-Case"

// A proxyCase is an exchange that is the same whether the gateway is between or not.
type proxyCase struct {
	name    string
	give    exchange
	reply   testkit.Reply // nil: echo
	status  int           // of the backend
	calls   int           // 0: one
	only    string        // a part of the clients' names that the case is for
	nothing bool          // the client must get no content
}

func proxyCases() []proxyCase {
	random := make([]byte, 10<<20)
	_, _ = rand.NewChaCha8([32]byte{7}).Read(random) // it never fails
	return slices.Concat(requestCases(random), responseCases())
}

// requestCases are about what reaches the backend.
func requestCases(random []byte) []proxyCase {
	var zipped, form bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	_, _ = zip.Write(random[:100_000]) // a buffer never fails, nor do those below
	_ = zip.Close()
	parts := multipart.NewWriter(&form)
	file, _ := parts.CreateFormFile("file", "größe.bin")
	_, _ = file.Write(random[:50_000])
	_ = parts.WriteField("name", "value")
	_ = parts.Close()
	octets := [2]string{"Content-Type", "application/octet-stream"}

	return []proxyCase{
		{name: "GET with a query", give: exchange{Method: "GET", Target: "/a?b=c&d=%20+e"}},
		{name: "no path", give: exchange{Method: "GET", Target: "/"}},
		{name: "an escaped path", give: exchange{Method: "GET", Target: "/a%2Fb/c%20d/%C3%A9;v=1/+@:,!/"}},
		{name: "repeated keys", give: exchange{Method: "GET", Target: "/?a=2&a=1&a&A=&b=%26"}},
		{name: "slashes", give: exchange{Method: "GET", Target: "/a//b//"}},
		{name: "repeated fields", give: exchange{
			Method: "GET", Target: "/", Header: [][2]string{{"X-Tag", "b"}, {"X-Tag", "a"}, {"Accept", "text/*;q=0.5"}},
		}},
		{name: "POST of JSON", give: exchange{
			Method: "POST", Target: "/json", Body: []byte("{ \"a\" :\t1e400}\n"),
			Header: [][2]string{{"Content-Type", "application/json; charset=utf-8"}},
		}},
		{name: "POST of a form", give: exchange{
			Method: "POST", Target: "/form", Body: form.Bytes(),
			Header: [][2]string{{"Content-Type", parts.FormDataContentType()}},
		}},
		{name: "PUT of gzip", give: exchange{
			Method: "PUT", Target: "/zip", Body: zipped.Bytes(), Header: [][2]string{octets, {"Content-Encoding", "gzip"}},
		}, reply: testkit.Respond(200, "text/plain", "thanks"), status: 200},
		{name: "PATCH", give: exchange{Method: "PATCH", Target: "/", Body: []byte("a=b"), Header: [][2]string{octets}}},
		{name: "DELETE", give: exchange{Method: "DELETE", Target: "/a/17"}},
		{name: "OPTIONS", give: exchange{Method: "OPTIONS", Target: "/"}},
		{name: "PROPFIND", give: exchange{Method: "PROPFIND", Target: "/", Header: [][2]string{{"Depth", "1"}}}},
		{name: "bytes", give: exchange{
			Method: "POST", Target: "/", Body: []byte("\x00\xff\xfe\x80\r\n\r\n\x00"), Header: [][2]string{octets},
		}},
		{name: "an empty body", give: exchange{Method: "POST", Target: "/", Body: []byte{}, Header: [][2]string{octets}}},
		{name: "10 MiB", give: exchange{Method: "POST", Target: "/", Body: random, Header: [][2]string{octets}}},
		{name: "chunked", give: exchange{
			Method: "POST", Target: "/", Body: random[:300_000], Header: [][2]string{octets}, Chunked: true,
		}},
		{name: "Expect", only: "curl", give: exchange{
			Method: "POST", Target: "/", Body: random[:100], Header: [][2]string{octets, {"Expect", "100-continue"}},
		}},
	}
}

// responseCases are about what comes back.
func responseCases() []proxyCase {
	get := exchange{Method: "GET", Target: "/"}
	with := func(header http.Header, status int, body string) testkit.Reply {
		return func(w http.ResponseWriter, _ *http.Request, _ *testkit.Call) {
			maps.Copy(w.Header(), header)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body) // a client that has left does not want it
		}
	}
	tagged := http.Header{"Etag": {`"v1"`}, "Last-Modified": {"Mon, 02 Mar 2026 03:04:05 GMT"}}
	head := http.Header{"Content-Length": {"12345"}, "Content-Type": {"text/x-long"}}
	return []proxyCase{
		{name: "HEAD", give: exchange{Method: "HEAD", Target: "/"}, reply: with(head, 200, ""), status: 200, nothing: true},
		{name: "HEAD, of no length", give: exchange{Method: "HEAD", Target: "/"}, reply: with(nil, 200, ""), nothing: true},
		{name: "cookies", give: get, reply: with(
			http.Header{"Set-Cookie": {"a=1; Path=/", "b=2; HttpOnly"}, "X-Many": {"2", "1"}, "Content-Type": {"text/html"}},
			200, "<p>hello",
		), status: 200},
		{name: "own policies", give: get, reply: with(
			http.Header{"Cache-Control": {"max-age=60"}, "Vary": {"Accept"}, "Content-Security-Policy": {"img-src *"}}, 201, "x",
		), status: 201},
		{name: "204", give: get, reply: with(http.Header{"X-Done": {"yes"}}, 204, ""), status: 204, nothing: true},
		{name: "304", give: exchange{
			Method: "GET", Target: "/", Header: [][2]string{{"If-None-Match", `"v1"`}, {"Cache-Control", "no-cache"}},
		}, reply: with(tagged, 304, ""), status: 304, nothing: true},
		{name: "404", give: get, reply: with(http.Header{"Content-Type": {"text/plain"}}, 404, "no page\n"), status: 404},
		{
			name: "500 after retries", give: exchange{Method: "POST", Target: "/", Body: []byte("x")},
			reply: with(http.Header{"Content-Type": {"text/plain"}}, 500, "broken"), status: 500, calls: 2,
		},
		{name: "redirect", give: get, reply: with(http.Header{"Location": {"/elsewhere?a=b"}}, 302, ""), status: 302},
		{name: "no content type", give: get, reply: with(http.Header{"Content-Type": nil}, 200, "<html>"), status: 200},
		{name: "599", give: get, reply: with(nil, 599, "odd"), status: 599},
		{name: "bytes back", give: get, reply: with(
			http.Header{"Content-Type": {"application/octet-stream"}}, 200, "\x00\xff\xfe\x80\r\n\r\n\x00",
		), status: 200},
		{name: "fields that are no UTF-8", only: "Go", give: get, reply: with(
			http.Header{"X-Bytes": {"caf\xe9", "\x80\xff", "größe"}, "Content-Type": {"text/plain"}}, 200, "x",
		), status: 200},
	}
}

func TestTheGatewayChangesNothingBetweenClientAndBackend(t *testing.T) {
	t.Parallel()
	inOneProcess(t, nothingBetween)
}

func nothingBetween(t *testing.T, install processInstaller) {
	t.Helper()
	cases := proxyCases()
	backend := newCaseBackend(t, cases)
	gateway := install(t, caseConfig(backend)).Start()
	requireNothingChanged(t, backend, cases, gateway.Client().Address, theClients)
}

// newCaseBackend answers each case as it says.
func newCaseBackend(t *testing.T, cases []proxyCase) *testkit.Backend {
	t.Helper()
	replies := make(map[string]testkit.Reply)
	for _, c := range cases {
		replies[c.name] = c.reply
	}
	return testkit.NewBackend(t, func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
		reply := replies[r.Header.Get(caseField)]
		if reply == nil {
			reply = testkit.With("X-Backend", "echo", testkit.Echo())
		}
		reply(w, r, call)
	})
}

func caseConfig(backend *testkit.Backend) string {
	return testkit.OneBackend(backend.URL) + "retry: {base: 10ms, max_attempts: 2}\n"
}

// requireNothingChanged makes the exchanges of all cases with each client, of the backend and of a gateway's address.
func requireNothingChanged(
	t *testing.T, backend *testkit.Backend, cases []proxyCase, gateway string, clients map[string]client,
) {
	t.Helper()
	for name, call := range clients {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			chosen := slices.DeleteFunc(slices.Clone(cases), func(c proxyCase) bool { return !strings.Contains(name, c.only) })
			outcomes := call(t, exchangesOf(chosen, backend.URL, gateway))

			require.Len(t, outcomes, len(chosen))
			for i := range chosen {
				t.Run(chosen[i].name, func(t *testing.T) {
					requireReplayed(t, &chosen[i], &outcomes[i])
					requireForwarded(t, backend, &chosen[i], &outcomes[i])
				})
			}
		})
	}
}

// exchangesOf completes the exchanges of cases.
func exchangesOf(cases []proxyCase, direct, gateway string) []exchange {
	exchanges := make([]exchange, len(cases))
	for i, c := range cases {
		exchanges[i] = c.give
		e := &exchanges[i]
		e.Direct, e.Proxied = direct, "http://"+gateway+"/proxy/backend"
		e.Raw = "http://" + gateway + "/api/v1/response/{id}/raw?wait=60s"
		e.Header = append(slices.Clone(e.Header), [2]string{caseField, c.name})
	}
	return exchanges
}

// requireForwarded checks that the backend was called as the client called it by itself.
func requireForwarded(t *testing.T, backend *testkit.Backend, c *proxyCase, o *outcome) {
	t.Helper()
	calls := backend.CallsOf(o.Accepted.header().Get("X-Correlation-Id"))
	require.Len(t, calls, max(c.calls, 1))
	for i, call := range calls {
		requireSameCall(t, directCall(t, backend, c.name, calls[0].Header), call)
		require.Equal(t, i+1, call.Attempt)
	}
}

// requireReplayed checks that the client got from the gateway what the backend itself answers.
func requireReplayed(t *testing.T, c *proxyCase, o *outcome) {
	t.Helper()
	status := c.status
	if status == 0 {
		status = http.StatusOK
	}
	require.Equal(t, status, o.Direct.Status)
	require.Equal(t, http.StatusAccepted, o.Accepted.Status, "%s", o.Accepted.Body)
	id := o.Accepted.header().Get("X-Correlation-Id")
	require.Equal(t, "/api/v1/status/"+id, o.Accepted.header().Get("Location"))
	require.Equal(t, status, o.Raw.Status)
	require.True(t, bytes.Equal(o.Direct.Body, o.Raw.Body), "%.200q instead of %.200q", o.Raw.Body, o.Direct.Body)
	require.True(t, !c.nothing || len(o.Raw.Body) == 0)
	requireSameFields(t, o)
}

// directCall finds the call of a case that the same client made without the gateway.
func directCall(t *testing.T, backend *testkit.Backend, name string, like http.Header) *testkit.Call {
	t.Helper()
	for _, call := range backend.CallsOf("") {
		if call.Header.Get(caseField) == name && call.Header.Get("User-Agent") == like.Get("User-Agent") {
			return call
		}
	}
	require.Fail(t, "the client did not call the backend itself")
	return nil
}

// requireSameCall allows for what belongs to one hop (RFC 9110 section 7.6.1) and what the gateway adds.
func requireSameCall(t *testing.T, direct, proxied *testkit.Call) {
	t.Helper()
	require.Equal(t, direct.Method, proxied.Method)
	require.Equal(t, direct.Target, proxied.Target)
	require.Equal(t, direct.Host, proxied.Host)
	require.True(t, bytes.Equal(direct.Body, proxied.Body), "%.200q instead of %.200q", proxied.Body, direct.Body)
	want, got := direct.Header.Clone(), proxied.Header.Clone()
	for _, name := range []string{"Connection", "Keep-Alive", "Expect", "Content-Length"} {
		want.Del(name)
		got.Del(name)
	}
	id := proxied.ID
	require.Equal(t, id, got.Get("X-Correlation-Id"))
	require.Equal(t, id, got.Get("Idempotency-Key"))
	require.Contains(t, got.Get("Via"), "openhqm")
	for _, name := range []string{"X-Openhqm-Id", "X-Openhqm-Attempt", "X-Correlation-Id", "Idempotency-Key", "Via"} {
		got.Del(name)
	}
	require.Equal(t, want, got)
}

// requireSameFields allows for what belongs to one hop or to the moment, and what the gateway adds to a replay.
func requireSameFields(t *testing.T, o *outcome) {
	t.Helper()
	want, got := o.Direct.header(), o.Raw.header()
	require.Equal(t, "1", got.Get("X-Openhqm-Replay"))
	require.Equal(t, o.Accepted.header().Get("X-Correlation-Id"), got.Get("X-Correlation-Id"))
	require.Contains(t, strings.Join(got.Values("Content-Security-Policy"), ", "), "sandbox")
	require.Equal(t, "nosniff", got.Get("X-Content-Type-Options"))
	want.Add("Content-Security-Policy", "sandbox") // beside the backend's own
	for _, name := range []string{
		"Connection", "Keep-Alive", "Transfer-Encoding", "Date", "X-Content-Type-Options",
		"X-Openhqm-Replay", "X-Openhqm-Status", "X-Correlation-Id",
	} {
		want.Del(name)
		got.Del(name)
	}
	if o.Raw.Status == http.StatusOK && want.Get("Accept-Ranges") == "" { // ranges of a replay are the gateway's to serve
		got.Del("Accept-Ranges")
	}
	if want.Get("Content-Length") == "" && len(o.Raw.Body) > 0 { // it came in chunks
		got.Del("Content-Length")
	}
	for name := range want {
		require.Equal(t, strings.Join(want[name], ", "), strings.Join(got[name], ", "), name)
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(got)), fmt.Sprint(got))
}

// TestTwoUsersOfOneApplicationMayChooseTheSameKey holds that neither gets the other's response, without API keys too.
func TestTwoUsersOfOneApplicationMayChooseTheSameKey(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Reply(func(w http.ResponseWriter, r *http.Request, _ *testkit.Call) {
		_, _ = w.Write([]byte(r.Header.Get("Authorization") + " " + r.Header.Get("Idempotency-Key")))
	}))
	client := testkit.NewGateway(t, testkit.OneBackend(backend.URL)).Start().Client()
	answers := make(map[string]string)
	for range 2 {
		for _, user := range []string{"Bearer alice", "Bearer bob"} {
			header := http.Header{"Idempotency-Key": {"1"}, "Authorization": {user}, "Prefer": {"wait=50"}}
			answer, err := client.Call(t.Context(), http.MethodPost, "/proxy/backend/x", header, []byte("same"))
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, answer.Code)
			body := string(answer.Body)
			require.Contains(t, body, user)
			if before, again := answers[user]; again {
				require.Equal(t, before, body, "it is the same request")
			}
			answers[user] = body
		}
	}
	require.Len(t, backend.Calls(), 2)
}
