package e2e_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// moody is a backend that refuses until it is cheered up, and then echoes.
func moody(t *testing.T) (backend *testkit.Backend, cheerUp func()) {
	t.Helper()
	var cheerful atomic.Bool
	backend = testkit.NewBackend(t, func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
		if cheerful.Load() {
			testkit.Echo()(w, r, call)
			return
		}
		testkit.Refuse(http.StatusServiceUnavailable)(w, r, call)
	})
	return backend, func() { cheerful.Store(true) }
}

const oneAttempt = "retry: {max_attempts: 1}\n"

// fails submits what the backend refuses, and returns its id.
func fails(t *testing.T, client *testkit.Client, document string) string {
	t.Helper()
	id := client.Submit(document).CorrelationID
	require.Equal(t, "FAILED", client.Result(id).Status)
	return id
}

func call(t *testing.T, client *testkit.Client, method, path, body string, code int, into any) *testkit.Answer {
	t.Helper()
	answer, err := client.Call(t.Context(), method, "/api/v1/dead-letters"+path, nil, []byte(body))
	require.NoError(t, err)
	require.Equal(t, code, answer.Code, string(answer.Body))
	if into != nil {
		require.NoError(t, json.Unmarshal(answer.Body, into))
	}
	return answer
}

func TestADeadLetterIsReadAndSentAgainAfterACrash(t *testing.T) {
	t.Parallel()
	backend, cheerUp := moody(t)
	gateway := testkit.NewGateway(t, testkit.OneBackend(backend.URL)+oneAttempt)
	process := gateway.Start()
	client := process.Client()
	const payload = `{ "n": 1e400, "s": "<&>", "n": 2 }`
	old := fails(t, client, `{"payload": `+payload+`, "headers": {"X-One": ["1", "2"]}, "metadata": {"path": "/a"}}`)
	process.Kill()
	client = gateway.Start().Client()

	var letter struct {
		Reason     string          `json:"reason"`
		StatusCode int             `json:"status_code"`
		Request    json.RawMessage `json:"request"`
	}
	call(t, client, http.MethodGet, "/"+old, "", http.StatusOK, &letter)
	require.Equal(t, "attempts_exhausted", letter.Reason)
	require.Equal(t, http.StatusServiceUnavailable, letter.StatusCode)
	require.Contains(t, string(letter.Request), `"path":"/a"`)
	require.Contains(t, string(letter.Request), `"X-One":["1","2"]`)
	require.Contains(t, string(letter.Request), `"payload":`+payload, "byte for byte")

	cheerUp()
	var resent struct {
		ID   string `json:"correlation_id"`
		From string `json:"resent_from"`
	}
	answer := call(t, client, http.MethodPost, "/"+old+"/resend", "", http.StatusAccepted, &resent)
	require.Equal(t, old, resent.From)
	require.NotEqual(t, old, resent.ID)
	require.Equal(t, "/api/v1/status/"+resent.ID, answer.Header.Get("Location"))
	result := client.Result(resent.ID)
	require.Equal(t, "COMPLETED", result.Status)
	require.Equal(t, payload, string(result.Result))
	require.Contains(t, string(result.Document), `"resent_from":"`+old+`"`)
	sent := backend.CallsOf(resent.ID)
	require.Len(t, sent, 1)
	require.Equal(t, 1, sent[0].Attempt, "attempts are counted from the start")
	require.Equal(t, []string{"1", "2"}, sent[0].Header["X-One"])
	require.Equal(t, payload, string(sent[0].Body))

	call(t, client, http.MethodPost, "/"+old+"/resend", "", http.StatusNotFound, nil)
	call(t, client, http.MethodGet, "/"+old, "", http.StatusNotFound, nil)
	require.Equal(t, `{"dead_letters":[]}`, string(call(t, client, http.MethodGet, "", "", http.StatusOK, nil).Body))
}

func TestTheCommandLineManagesDeadLetters(t *testing.T) {
	t.Parallel()
	inOneProcess(t, deadLettersByCommandLine)
}

func deadLettersByCommandLine(t *testing.T, install processInstaller) {
	t.Helper()
	backend, cheerUp := moody(t)
	gateway := install(t, testkit.OneBackend(backend.URL)+oneAttempt)
	client := gateway.Start().Client()
	url := "http://" + client.Address
	var ids []string
	for range 4 { // one more would open the breaker
		ids = append(ids, fails(t, client, `{"payload": "try me"}`))
	}

	list := gateway.Run("dlq", "list", "--url", url)
	require.Equal(t, 0, list.Code, list.Stderr)
	require.Len(t, strings.Split(strings.TrimSpace(list.Stdout), "\n"), 5)
	show := gateway.Run("dlq", "show", ids[0], "--url", url)
	require.Equal(t, 0, show.Code, show.Stderr)
	require.Contains(t, show.Stdout, `"try me"`)
	require.Equal(t, 2, gateway.Run("dlq", "purge", ids[0], "--url", url).Code, "without --yes")
	purge := gateway.Run("dlq", "purge", "--yes", ids[0], "--url", url)
	require.Equal(t, 0, purge.Code, purge.Stderr)
	require.Equal(t, 1, gateway.Run("dlq", "show", ids[0], "--url", url).Code)

	cheerUp()
	resend := gateway.Run("dlq", "resend", "--all", "--reason", "attempts_exhausted", "--url", url)
	require.Equal(t, 0, resend.Code, resend.Stderr)
	lines := strings.Split(strings.TrimSpace(resend.Stdout), "\n")
	require.Len(t, lines, 3)
	for _, line := range lines {
		words := strings.Fields(line)
		require.Contains(t, ids, words[0])
		require.Equal(t, "COMPLETED", client.Result(words[len(words)-1]).Status)
	}
	require.Equal(t, `{"dead_letters":[]}`+"\n", gateway.Run("dlq", "list", "--json", "--url", url).Stdout)
}

func TestWhatFailsAgainIsADeadLetterAgainAndSentOnlyOnce(t *testing.T) {
	t.Parallel()
	inOneProcess(t, failsAgain)
}

func failsAgain(t *testing.T, install processInstaller) {
	t.Helper()
	backend, _ := moody(t)
	gateway := install(t, testkit.OneBackend(backend.URL)+oneAttempt)
	client := gateway.Start().Client()
	for range 2 {
		fails(t, client, `{"payload": 1}`)
	}
	resend := gateway.Run("dlq", "resend", "--all", "--rate", "1000", "--url", "http://"+client.Address)
	require.Equal(t, 0, resend.Code, resend.Stderr)
	lines := strings.Split(strings.TrimSpace(resend.Stdout), "\n")
	require.Len(t, lines, 2)
	for _, line := range lines {
		words := strings.Fields(line)
		id := words[len(words)-1]
		require.Equal(t, "FAILED", client.Result(id).Status)
		var letter struct {
			From string `json:"resent_from"`
		}
		call(t, client, http.MethodGet, "/"+id, "", http.StatusOK, &letter)
		require.Equal(t, words[0], letter.From)
	}
	require.Len(t, backend.Calls(), 4)
}

func TestADeadLetterOfAnEndpointThatIsGoneStays(t *testing.T) {
	t.Parallel()
	backend, _ := moody(t)
	gateway := testkit.NewGateway(t, testkit.OneBackend(backend.URL)+oneAttempt)
	process := gateway.Start()
	id := fails(t, process.Client(), `{"payload": 1}`)
	process.Kill()
	config := fmt.Sprintf("proxy: {endpoints: {other: {url: %q}}}\n", backend.URL)
	require.NoError(t, os.WriteFile(filepath.Join(gateway.Dir, "openhqm.yaml"), []byte(config), 0o600))
	client := gateway.Start().Client()
	answer := call(t, client, http.MethodPost, "/"+id+"/resend", "", http.StatusNotFound, nil)
	require.Equal(t, "UNKNOWN_ENDPOINT", answer.Problem(t, http.StatusNotFound).Code)
	var page struct {
		Resent, Skipped []json.RawMessage
		More            bool
	}
	call(t, client, http.MethodPost, "/resend", "{}", http.StatusAccepted, &page)
	require.Empty(t, page.Resent)
	require.Len(t, page.Skipped, 1)
	require.False(t, page.More)
	call(t, client, http.MethodGet, "/"+id, "", http.StatusOK, nil)
}
