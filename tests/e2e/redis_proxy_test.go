package e2e_test

import (
	"bytes"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/tests/testkit"
)

// startProxyApart starts an api and a worker, and returns the client of the api.
func startProxyApart(t *testing.T, install installer, config string) *testkit.Client {
	t.Helper()
	api, worker := install(t, "api", config).Start(), install(t, "worker", config).Start()
	t.Cleanup(func() {
		if !t.Failed() {
			endWell(t, api, worker)
		}
	})
	return api.Client()
}

func TestTheGatewayChangesNothingWithItsRolesApart(t *testing.T) {
	t.Parallel()
	onEachBroker(t, changesNothing)
}

func changesNothing(t *testing.T, install installer) {
	t.Helper()
	cases := proxyCases()
	backend := newCaseBackend(t, cases)
	api := startProxyApart(t, install, caseConfig(backend))
	requireNothingChanged(t, backend, cases, api.Address, map[string]client{
		"Go net/http": goClient, "curl h2c": curl("--http2-prior-knowledge"),
	})
}

// The worker that ends a request is in one process, and the client that waits for it asks another.
func TestAClientThatWaitsGetsTheBackendsAnswerFromAnotherProcess(t *testing.T) {
	t.Parallel()
	onEachBroker(t, waitsAtAnotherProcess)
}

func waitsAtAnotherProcess(t *testing.T, install installer) {
	t.Helper()
	body := make([]byte, 1<<20)
	_, _ = rand.NewChaCha8([32]byte{11}).Read(body) // it never fails
	release := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.Hold(release, answerAwaited))
	api := startProxyApart(t, install, testkit.OneBackend(backend.URL))
	tests := []struct {
		method, path string
		give         []byte
		wait         string
		wantStatus   int
		wantBody     []byte
	}{
		{
			method: "PUT", path: "/large", give: body, wait: "wait=55",
			wantStatus: 418, wantBody: append([]byte("PUT\x00"), body...),
		},
		{method: "PROPFIND", path: "/a%2Fb", wait: "wait=55", wantStatus: 418, wantBody: []byte("PROPFIND\x00")},
		{method: "POST", path: "/nothing", give: []byte("x"), wait: "wait=55", wantStatus: 204, wantBody: []byte{}},
		{method: "DELETE", path: "/soon", wait: "wait=1", wantStatus: 202}, // released when this one is answered
	}
	answers := make([]*testkit.Answer, len(tests))
	var waits, impatient errgroup.Group
	for i, tt := range tests {
		group := &waits
		if tt.wantStatus == http.StatusAccepted {
			group = &impatient
		}
		group.Go(func() (err error) {
			header := http.Header{"Prefer": {tt.wait}}
			answers[i], err = api.Call(t.Context(), tt.method, "/proxy/backend"+tt.path, header, tt.give)
			return err
		})
	}
	backend.Await(len(tests))
	require.NoError(t, impatient.Wait())
	clock := testkit.StartClock(t, api)
	close(release)
	require.NoError(t, waits.Wait())
	require.Less(t, clock.Elapsed(), 30*time.Second, "well before a wait would be over: all are woken")

	for i, tt := range tests {
		answer := answers[i]
		require.Equal(t, tt.wantStatus, answer.Code, tt.path)
		require.Equal(t, tt.wait, answer.Header.Get("Preference-Applied"), tt.path)
		require.Len(t, backend.CallsOf(answer.Header.Get("X-Correlation-Id")), 1, tt.path)
		if tt.wantStatus == http.StatusAccepted {
			continue
		}
		require.Equal(t, "1", answer.Header.Get("X-Openhqm-Replay"), tt.path)
		require.Equal(t, []string{"2", "1", "caf\xe9"}, answer.Header.Values("X-Many"), tt.path)
		require.True(t, bytes.Equal(tt.wantBody, answer.Body), "%s: %.200q", tt.path, answer.Body)
	}
}

// answerAwaited answers with the method and the body, and nothing at /nothing.
func answerAwaited(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
	w.Header()["X-Many"] = []string{"2", "1", "caf\xe9"}
	if call.Target == "/nothing" {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.WriteHeader(http.StatusTeapot)
	_, _ = w.Write(append([]byte(r.Method+"\x00"), call.Body...)) // a caller that has left does not want it
}
