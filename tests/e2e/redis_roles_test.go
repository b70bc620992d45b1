package e2e_test

import (
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// apart is OpenHQM with its roles apart: two apis and a worker on one broker.
type apart struct {
	t             *testing.T      // of the case
	first, second *testkit.Client // of the apis
	worker        *testkit.Client
	processes     []*testkit.Process
	backend       *testkit.Backend // of the endpoint echo
	cheerUp       func()           // mends the backend of the endpoint moody
	nginx         *testkit.Nginx   // the endpoint shop
}

// apartConfig has no value for the token in apis: only those who call backends need secrets.
const apartConfig = `
redis: {shards: 3}
retry: {base: 20ms, max: 200ms}
proxy:
  default_endpoint: echo
  endpoints:
    echo:  {url: %q, auth: {type: bearer, token: "${TOKEN}"}}
    moody: {url: %q, retry: {max_attempts: 1}, breaker: {ratio: 0}}
    shop:  {url: %q}
`

func startApart(t *testing.T, install installer) apart {
	t.Helper()
	d := apart{backend: testkit.NewBackend(t, testkit.Echo())}
	d.nginx = testkit.StartNginx(t, `
		location = /orders { default_type application/json; return 201 '{"order": "A-1",  "state": "taken"}'; }
	`, nil)
	sad, cheerUp := moody(t)
	d.cheerUp = cheerUp
	config := fmt.Sprintf(apartConfig, d.backend.URL, sad.URL, d.nginx.URL)
	apis := install(t, "api", config)
	first, second := apis.Start(), apis.Start()
	worker := install(t, "worker", config, "TOKEN=s3cret").Start()
	d.processes = []*testkit.Process{first, second, worker}
	d.first, d.second, d.worker = first.Client(), second.Client(), worker.Client()
	return d
}

func TestRolesApart(t *testing.T) {
	t.Parallel()
	onEachBroker(t, rolesApart)
}

func rolesApart(t *testing.T, install installer) {
	t.Helper()
	d := startApart(t, install)
	runAll(t, d.in, map[string]func(apart){
		"what one api accepts any api answers":       apart.anyAPIAnswers,
		"a submit that waits gets its response":      apart.aSubmitWaits,
		"a delayed request is cancelled at any api":  apart.cancelApart,
		"one key is one request at all apis":         apart.idempotencyApart,
		"dead letters are managed at any api":        apart.deadLettersApart,
		"a worker serves health and metrics alone":   apart.onlyHealthAndMetrics,
		"every role reports its health":              apart.healthOfRoles,
		"every role has metrics of what it has done": apart.metricsOfRoles,
	})
	endWell(t, d.processes...)
}

// in returns it to a case.
func (d apart) in(t *testing.T) apart {
	t.Helper()
	d.t = t
	return d
}

func (d apart) anyAPIAnswers() {
	t := d.t
	id := d.first.Submit(`{"payload": {"item": "tea"}, "metadata": {"endpoint": "shop", "path": "/orders"}}`).CorrelationID

	for _, client := range []*testkit.Client{d.second, d.first} {
		result := client.Result(id)
		require.Equal(t, "COMPLETED", result.Status)
		require.Equal(t, http.StatusCreated, result.StatusCode)
		require.Equal(t, `{"order": "A-1",  "state": "taken"}`, string(result.Result))
		require.Equal(t, 1, client.Status(id).Attempts)
	}
	testkit.Until(t, "nginx has noted the call", func() bool { return len(d.nginx.CallsOf(id)) > 0 })
	require.Equal(t, []string{"POST /orders " + id + " 201"}, d.nginx.CallsOf(id))
}

func (d apart) aSubmitWaits() {
	t := d.t
	const payload = `{ "n": 1e400, "s": "<&>" }`

	answer := d.first.Post(`{"payload": `+payload+`}`, http.Header{"Prefer": {"wait=30"}})

	require.Equal(t, http.StatusOK, answer.Code, string(answer.Body))
	require.Contains(t, string(answer.Body), `"result":`+payload)
	calls := d.backend.CallsOf(answer.Header.Get("X-Correlation-Id"))
	require.Len(t, calls, 1)
	require.Equal(t, payload, string(calls[0].Body))
	require.Equal(t, "Bearer s3cret", calls[0].Header.Get("Authorization"))
}

func (d apart) cancelApart() {
	t := d.t
	id := d.first.Submit(`{"payload": 1, "metadata": {"delay": "1s"}}`).CorrelationID
	marker := d.first.Submit(`{"payload": 2, "metadata": {"delay": "2s"}}`)

	require.Equal(t, http.StatusOK, cancel(t, d.second, id).Code)
	require.Equal(t, http.StatusOK, cancel(t, d.first, id).Code, "again")

	require.Equal(t, "CANCELLED", d.first.Result(id).Status)
	// When a later one has been called, the time of the cancelled one has passed.
	require.Equal(t, "COMPLETED", d.second.Result(marker.CorrelationID).Status)
	require.Empty(t, d.backend.CallsOf(id))
	call := d.backend.CallsOf(marker.CorrelationID)[0]
	require.False(t, call.At.Before(marker.SubmittedAt.Add(2*time.Second)), "called too early")
}

func (d apart) idempotencyApart() {
	t := d.t
	const submits = 100
	key := http.Header{"Idempotency-Key": {"order-17"}}
	receipts := make([]testkit.Receipt, submits)
	errs := make([]error, submits)
	var group sync.WaitGroup
	for i := range submits {
		client := d.first
		if i%2 == 1 {
			client = d.second
		}
		group.Go(func() { receipts[i], errs[i] = client.TrySubmit(t.Context(), `{"payload": {"order": 17}}`, key) })
	}
	group.Wait()

	for i, err := range errs {
		require.NoError(t, err)
		receipts[i].RequireRepeat(t, receipts[0])
	}
	id := receipts[0].CorrelationID
	require.Equal(t, "COMPLETED", d.second.Result(id).Status)
	require.Len(t, d.backend.CallsOf(id), 1)
	problem := d.second.Post(`{"payload": {"order": 18}}`, key).Problem(t, http.StatusUnprocessableEntity)
	require.Equal(t, "IDEMPOTENCY_MISMATCH", problem.Code)
}

func (d apart) deadLettersApart() {
	t := d.t
	const payload = `{ "n": 1e400, "n": 2 }`
	resent := fails(t, d.first, `{"payload": `+payload+`, "metadata": {"endpoint": "moody"}}`)
	purged := fails(t, d.second, `{"payload": 2, "metadata": {"endpoint": "moody"}}`)

	list := string(call(t, d.second, http.MethodGet, "?endpoint=moody", "", http.StatusOK, nil).Body)
	require.Contains(t, list, resent)
	require.Contains(t, list, purged)
	letter := call(t, d.second, http.MethodGet, "/"+resent, "", http.StatusOK, nil)
	require.Contains(t, string(letter.Body), `"reason":"attempts_exhausted"`)
	require.Contains(t, string(letter.Body), `"payload":`+payload, "byte for byte")

	call(t, d.first, http.MethodDelete, "/"+purged, "", http.StatusNoContent, nil)
	call(t, d.second, http.MethodGet, "/"+purged, "", http.StatusNotFound, nil)
	d.cheerUp()
	var receipt struct {
		ID   string `json:"correlation_id"`
		From string `json:"resent_from"`
	}
	call(t, d.second, http.MethodPost, "/"+resent+"/resend", "", http.StatusAccepted, &receipt)
	require.Equal(t, resent, receipt.From)
	require.Equal(t, payload, string(d.first.Result(receipt.ID).Result))
	require.JSONEq(t, `{"dead_letters":[]}`,
		string(call(t, d.first, http.MethodGet, "?endpoint=moody", "", http.StatusOK, nil).Body))
}

func (d apart) onlyHealthAndMetrics() {
	t := d.t
	id := d.first.Submit(`{"payload": 1}`).CorrelationID
	require.Equal(t, "COMPLETED", d.first.Result(id).Status)

	require.Equal(t, "NOT_FOUND", d.worker.Post(`{"payload": 1}`, nil).Problem(t, http.StatusNotFound).Code)
	for _, path := range []string{
		"/api/v1/status/" + id, "/api/v1/response/" + id, "/api/v1/dead-letters", "/api/v1/dead-letters/" + id,
	} {
		for _, method := range []string{http.MethodGet, http.MethodDelete, http.MethodPost} {
			answer, err := d.worker.Call(t.Context(), method, path, nil, nil)
			require.NoError(t, err)
			require.Equal(t, "NOT_FOUND", answer.Problem(t, http.StatusNotFound).Code, "%s %s", method, path)
		}
	}
	require.Equal(t, "COMPLETED", d.first.Status(id).Status, "nothing was done to it")
}

func (d apart) healthOfRoles() {
	t := d.t
	require.ElementsMatch(t, []string{"http", "log", "queue", "store"}, components(t, d.first))
	require.ElementsMatch(t, []string{"http", "log", "queue", "store", "worker"}, components(t, d.worker))
	for _, client := range []*testkit.Client{d.first, d.worker} {
		require.Equal(t, http.StatusOK, client.Get("/health/live").Code)
		require.Equal(t, http.StatusOK, client.Get("/health/ready").Code)
	}
}

func (d apart) metricsOfRoles() {
	t := d.t
	id := d.first.Submit(`{"payload": 1}`).CorrelationID
	require.Equal(t, "COMPLETED", d.first.Result(id).Status)

	api, worker := d.first.Metrics(), d.worker.Metrics()

	require.Positive(t, api[`openhqm_api_requests_total{code="202",method="POST",route="/api/v1/submit"}`])
	require.Positive(t, worker[`openhqm_worker_attempts_total{endpoint="echo",outcome="answered"}`])
	require.Zero(t, api[`openhqm_worker_attempts_total{endpoint="echo",outcome="answered"}`])
	for _, metrics := range []testkit.Metrics{api, worker} {
		_, found := metrics.Depth()
		require.True(t, found, "the depth is there in every role")
	}
}
