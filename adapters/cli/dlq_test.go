package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// exchange is a call of the api, as it arrived, and its answer.
type exchange struct {
	call   string // method, target and body
	status int
	answer string
}

// scripted is an api that expects these calls, in this order. It answers what it does not expect with 500.
func scripted(t *testing.T, script ...exchange) (address string) {
	t.Helper()
	done := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body bytes.Buffer
		_, _ = body.ReadFrom(r.Body)
		got := strings.TrimSpace(r.Method + " " + r.RequestURI + " " + body.String())
		if done == len(script) || script[done].call != got {
			http.Error(w, "unexpected: "+got, http.StatusInternalServerError)
			t.Errorf("call %d is unexpected: %s", done, got)
			return
		}
		w.WriteHeader(script[done].status)
		_, _ = w.Write([]byte(script[done].answer))
		done++
	}))
	t.Cleanup(func() {
		server.Close()
		require.Equal(t, len(script), done, "calls")
	})
	return server.URL
}

// runDLQ runs a command below dlq.
func runDLQ(args ...string) (code int, stdout, stderr string) {
	return run(testProgram(), append([]string{"dlq"}, args...)...)
}

func letterJSON(id string) string {
	return `{"correlation_id":"` + id + `","endpoint":"orders","reason":"deadline","error":"the \u001b[31mdeadline",` +
		`"attempts":2,"status":"TIMEOUT","submitted_at":"2026-03-04T04:06:07.891Z","failed_at":"2026-03-04T04:07:07.891Z"}`
}

func pageJSON(next string, ids ...string) string {
	letters := []string{}
	for _, id := range ids {
		letters = append(letters, letterJSON(id))
	}
	page := `{"dead_letters":[` + strings.Join(letters, ",") + `]`
	if next != "" {
		page += `,"next_before":"` + next + `"`
	}
	return page + "}"
}

func TestDLQListPrintsATable(t *testing.T) {
	t.Parallel()
	url := scripted(
		t,
		exchange{"GET /api/v1/dead-letters?endpoint=orders&limit=3&reason=deadline", 200, pageJSON("p,2", "a", "b")},
		exchange{"GET /api/v1/dead-letters?before=p%2C2&endpoint=orders&limit=1&reason=deadline", 200, pageJSON("p,3", "c")},
	)
	code, stdout, stderr := runDLQ("list", "--url", url, "--endpoint", "orders", "--reason=deadline", "--limit", "3")
	require.Equal(t, exitOK, code, stderr)
	lines := strings.Split(stdout, "\n")
	require.Len(t, lines, 5)
	require.Equal(t, strings.Fields("FAILED AT CORRELATION ID ENDPOINT STATUS REASON ATTEMPTS CODE ERROR"),
		strings.Fields(lines[0]))
	for i, id := range []string{"a", "b", "c"} {
		require.Equal(t, []string{
			"2026-03-04T04:07:07.891Z", id, "orders", "TIMEOUT", "deadline", "2", "-", "the", "\uFFFD[31mdeadline",
		}, strings.Fields(lines[i+1]), "and nothing for the terminal to obey")
	}
	require.Equal(t, "there are more, continue with --before p,3\n", stderr)
}

func TestDLQListEndsWithTheLastPage(t *testing.T) {
	t.Parallel()
	url := scripted(
		t,
		exchange{"GET /api/v1/dead-letters?before=2026-01-01T00%3A00%3A00Z&limit=1000", 200, pageJSON("p,2")},
		exchange{"GET /api/v1/dead-letters?before=p%2C2&limit=1000", 200, pageJSON("", "a")},
	)
	code, stdout, stderr := runDLQ("list", "--url", url+"/", "--limit", "5000", "--json",
		"--before", "2026-01-01T00:00:00Z")
	require.Equal(t, exitOK, code, stderr)
	require.Equal(t, pageJSON("p,2")+"\n"+pageJSON("", "a")+"\n", stdout, "as the api sent it")
	require.Empty(t, stderr)
}

const shown = `{"correlation_id":"a","endpoint":"orders","reason":"deadline","error":"late","attempts":2,` +
	`"status":"FAILED","status_code":503,"submitted_at":"2026-03-04T04:06:07.891Z",` +
	`"failed_at":"2026-03-04T04:07:07.891Z","resent_from":"z","request":{"method":"PUT","path":"/a","query":"b=c",` +
	`"headers":{"A":"1","B":["2","3"]},"payload":{"n":
 1e400},"priority":7,"max_attempts":3,"labels":{"k":"v"},"owner":"shop","deadline":"2026-03-04T04:06:08.000Z"}}`

func TestDLQShow(t *testing.T) {
	t.Parallel()
	const call = "GET /api/v1/dead-letters/a"
	code, stdout, stderr := runDLQ("show", "a", "--url", scripted(t, exchange{call, 200, shown}))
	require.Equal(t, exitOK, code, stderr)
	require.Equal(t, `correlation_id  a
resent_from     z
endpoint        orders
status          FAILED
reason          deadline
error           late
attempts        2
status_code     503
submitted_at    2026-03-04T04:06:07.891Z
failed_at       2026-03-04T04:07:07.891Z
deadline        2026-03-04T04:06:08.000Z
owner           shop
priority        7
max_attempts    3
label           k=v

PUT /a?b=c
A: 1
B: 2
B: 3

payload:
{"n":
 1e400}
`, stdout)

	code, stdout, _ = runDLQ("show", "--json", "--url", scripted(t, exchange{call, 200, shown}), "a")
	require.Equal(t, exitOK, code)
	require.Equal(t, shown+"\n", stdout)

	least := strings.TrimSuffix(letterJSON("a"), "}") + `,"request":{"headers":{"A":"1"},"payload":"AA==",` +
		`"payload_encoding":"base64"}}`
	code, stdout, _ = runDLQ("show", "a", "--url", scripted(t, exchange{call, 200, least}))
	require.Equal(t, exitOK, code)
	require.Contains(t, stdout, "\npriority        0\n\nA: 1\n\npayload (base64):\n\"AA==\"\n")

	bare := strings.TrimSuffix(letterJSON("a"), "}")
	for members, want := range map[string]string{
		`"message":"{\"payload\": 1,}\n"`:              "\nmessage (16 bytes):\n{\"payload\": 1,}\n\n",
		`"message":"a\u001b[2J"`:                       "\nmessage in base64 (5 bytes):\nYRtbMko=\n",
		`"message":"AP8=","message_encoding":"base64"`: "\nmessage in base64 (2 bytes):\nAP8=\n",
		`"fields":[{"name":"data","value":"{}"},{"name":"/w==","name_encoding":"base64","value":""}]`: "" +
			"\nfield (4 bytes):\ndata\nvalue (2 bytes):\n{}\n" +
			"\nfield in base64 (1 bytes):\n/w==\nvalue (0 bytes):\n\n",
	} {
		code, stdout, _ = runDLQ("show", "a", "--url", scripted(t, exchange{call, 200, bare + "," + members + "}"}))
		require.Equal(t, exitOK, code)
		require.True(t, strings.HasSuffix(stdout, want), stdout)
	}

	code, stdout, _ = runDLQ("show", "a", "--url", scripted(t, exchange{call, 200, letterJSON("a")}))
	require.Equal(t, exitOK, code)
	require.Contains(t, stdout, "the original is not kept or cannot be read")
}

func TestDLQResendOne(t *testing.T) {
	t.Parallel()
	const call, answer = "POST /api/v1/dead-letters/a/resend", `{"correlation_id":"b","resent_from":"a"}`
	code, stdout, stderr := runDLQ("resend", "--url", scripted(t, exchange{call, 202, answer}), "a")
	require.Equal(t, exitOK, code, stderr)
	require.Equal(t, "a resent as b\n", stdout)

	code, stdout, _ = runDLQ("resend", "a", "--json", "--url", scripted(t, exchange{call, 202, answer}))
	require.Equal(t, exitOK, code)
	require.Equal(t, answer+"\n", stdout)
}

func TestDLQResendContinuesWhereTheAnswerSays(t *testing.T) {
	t.Parallel()
	first := `{"resent":[{"correlation_id":"b","resent_from":"a"}],"skipped":[],"more":true,"next_before":"p,2"}`
	last := `{"resent":[{"correlation_id":"d","resent_from":"c"}],"skipped":[],"more":false}`
	url := scripted(
		t,
		exchange{`POST /api/v1/dead-letters/resend {"limit":1000,"rate":50}`, 202, first},
		exchange{`POST /api/v1/dead-letters/resend {"before":"p,2","limit":1000,"rate":50}`, 202, last},
	)
	code, stdout, stderr := runDLQ("resend", "--url", url, "--all", "--rate", "50")
	require.Equal(t, exitOK, code)
	require.Equal(t, "a resent as b\nc resent as d\n", stdout)
	require.Equal(t, "2 resent, 0 skipped\n", stderr)

	url = scripted(t, exchange{
		`POST /api/v1/dead-letters/resend {"endpoint":"orders","reason":"deadline","limit":1}`, 202, first,
	})
	code, stdout, stderr = runDLQ("resend", "--url", url, "--endpoint=orders", "--reason=deadline", "--limit=1", "--json")
	require.Equal(t, exitOK, code)
	require.Equal(t, first+"\n", stdout)
	require.Equal(t, "1 resent, 0 skipped\nthere are more, continue with --before p,2\n", stderr)
}

func TestDLQResendReportsWhatItSkipped(t *testing.T) {
	t.Parallel()
	url := scripted(t, exchange{`POST /api/v1/dead-letters/resend {"limit":1000}`, 202, `{"resent":[],"skipped":[` +
		`{"correlation_id":"a","code":"UNKNOWN_ENDPOINT","detail":"unknown endpoint: \"gone\""}],"more":false}`})
	code, stdout, stderr := runDLQ("resend", "--url", url, "--all")
	require.Equal(t, exitFailed, code)
	require.Empty(t, stdout)
	require.Contains(t, stderr, "a skipped: UNKNOWN_ENDPOINT: unknown endpoint: \"gone\"\n0 resent, 1 skipped\n")
}

func TestDLQPurge(t *testing.T) {
	t.Parallel()
	const gone = `{"code":"NOT_FOUND","detail":"gone"}`
	code, stdout, stderr := runDLQ("purge", "a", "--yes", "--url",
		scripted(t, exchange{"DELETE /api/v1/dead-letters/a", 204, ""}))
	require.Equal(t, exitOK, code, stderr)
	require.Equal(t, "a purged\n", stdout)

	url := scripted(
		t,
		exchange{"GET /api/v1/dead-letters?endpoint=orders&limit=1000", 200, pageJSON("p,2", "a", "b")},
		exchange{"DELETE /api/v1/dead-letters/a", 404, gone},
		exchange{"DELETE /api/v1/dead-letters/b", 204, ""},
		exchange{"GET /api/v1/dead-letters?before=p%2C2&endpoint=orders&limit=1000", 200, pageJSON("", "c")},
		exchange{"DELETE /api/v1/dead-letters/c", 204, ""},
	)
	code, stdout, stderr = runDLQ("purge", "--yes", "--all", "--endpoint", "orders", "--json", "--url", url)
	require.Equal(t, exitOK, code, stderr)
	require.Equal(t, `{"purged":"b"}`+"\n"+`{"purged":"c"}`+"\n", stdout)
	require.True(t, json.Valid([]byte(strings.Split(stdout, "\n")[0])))

	url = scripted(t, exchange{"GET /api/v1/dead-letters?endpoint=oders&limit=1000", 200, pageJSON("")})
	code, stdout, stderr = runDLQ("purge", "--yes", "--all", "--endpoint", "oders", "--url", url)
	require.Equal(t, exitFailed, code)
	require.Empty(t, stdout)
	require.Equal(t, "openhqm: dlq purge: no dead letter matches; nothing was deleted\n", stderr)
}

func TestDLQErrorsOfTheAPI(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		status int
		give   string
		want   string
	}{
		{404, `{"code":"NOT_FOUND","detail":"x"}`, "openhqm: dlq: no such dead letter (any more)\n"},
		{401, `{"code":"UNAUTHORIZED","detail":"no key\u0007"}`, "openhqm: dlq: 401 UNAUTHORIZED: no key\uFFFD\n"},
		{502, `<html>nginx</html>`, "openhqm: dlq: status 502 without a code: is this an openhqm api?\n"},
		{307, ``, "openhqm: dlq: status 307 without a code: is this an openhqm api?\n"},
		{200, `<html>hello</html>`, "not from an openhqm api"},
	} {
		code, stdout, stderr := runDLQ("show", "a", "--url",
			scripted(t, exchange{"GET /api/v1/dead-letters/a", tt.status, tt.give}))
		require.Equal(t, exitFailed, code)
		require.Empty(t, stdout)
		require.Contains(t, stderr, tt.want)
	}
}

func TestDLQReportsThatNobodyListens(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, listener.Close())
	code, _, stderr := runDLQ("list", "--url", "http://"+listener.Addr().String())
	require.Equal(t, exitFailed, code)
	require.Contains(t, stderr, "connection refused")
}

func TestDLQRefusesACommandLineThatIsNotClear(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		give []string
		want string
	}{
		{nil, "name one of list, show, resend, purge"},
		{[]string{"lst"}, `unknown command "lst", did you mean "list"?`},
		{[]string{"other"}, `unknown command "other"`},
		{[]string{"list", "a"}, `unexpected argument "a"`},
		{[]string{"show", ""}, "the id is empty"},
		{[]string{"resend", ""}, "the id is empty"},
		{[]string{"purge", "--yes", ""}, "the id is empty"},
		{[]string{"list", "--limit", "0"}, "--limit"},
		{[]string{"list", "--all"}, "--all"},
		{[]string{"list", "--key", "secret"}, "--key"},
		{[]string{"show"}, "name an id"},
		{[]string{"show", "a", "b"}, "too many arguments"},
		{[]string{"resend"}, "name an id, a filter or --all"},
		{[]string{"resend", "a", "--all"}, "not both"},
		{[]string{"resend", "--endpoint=x", "a"}, "not both"},
		{[]string{"resend", "--all", "--rate", "-1"}, "--rate"},
		{[]string{"purge", "--yes"}, "name an id, a filter or --all"},
		{[]string{"purge", "a"}, "add --yes"},
		{[]string{"purge", "--all"}, "add --yes"},
		{[]string{"show", "a", "--url", "localhost:8000"}, "--url must look like http://host:port"},
		{[]string{"show", "a", "--url", "http://"}, "--url must look like http://host:port"},
	} {
		code, stdout, stderr := runDLQ(tt.give...)
		require.Equal(t, exitUsage, code, tt.give)
		require.Empty(t, stdout)
		require.Contains(t, stderr, tt.want, tt.give)
		require.Regexp(t, `^openhqm: .*; see openhqm dlq( \w+)? --help\n$`, stderr)
	}
}

func TestDLQFindsAddressAndKeyByItself(t *testing.T) {
	t.Parallel()
	keys := make(chan []string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		keys <- r.Header["X-Openhqm-Key"]
		_, _ = fmt.Fprint(w, pageJSON(""))
	}))
	defer server.Close()
	address, isTCP := server.Listener.Addr().(*net.TCPAddr)
	require.True(t, isTCP)
	program := testProgram()
	var asked Settings
	program.Listen = func(settings Settings) (Listener, error) {
		asked = settings
		return Listener{Host: "0.0.0.0", Port: address.Port}, nil
	}

	code, _, stderr := run(program, "dlq", "list", "--config", "a.yaml")
	require.Equal(t, exitOK, code, stderr)
	require.Equal(t, Settings{File: "a.yaml", Values: map[string]string{}, NoDotEnv: true}, asked,
		"a .env file cannot send the key elsewhere")
	require.Empty(t, <-keys)

	program.Getenv = func(name string) string { return map[string]string{"OPENHQM_KEY": "sesame"}[name] }
	code, stdout, stderr := run(program, "dlq", "list")
	require.Equal(t, exitOK, code, stderr)
	require.Equal(t, []string{"sesame"}, <-keys)
	require.NotContains(t, stdout+stderr, "sesame")
}

func TestDLQNeedsAnAddressThatCanBeKnown(t *testing.T) {
	t.Parallel()
	program := testProgram()
	program.Listen = func(Settings) (Listener, error) { return Listener{Host: "127.0.0.1"}, nil }
	code, _, stderr := run(program, "dlq", "list")
	require.Equal(t, exitUsage, code)
	require.Contains(t, stderr, "name the address with --url")

	program.Listen = func(Settings) (Listener, error) { return Listener{}, &ConfigError{errTest} }
	code, _, stderr = run(program, "dlq", "list")
	require.Equal(t, exitUsage, code)
	require.Equal(t, "openhqm: "+errTest.Error()+"\n", stderr)
}
