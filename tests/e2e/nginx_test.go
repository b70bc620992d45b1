package e2e_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// What users do with curl, against a server that none of us wrote.
func TestAClientGetsTheAnswersOfARealServer(t *testing.T) {
	t.Parallel()
	nginx := testkit.StartNginx(t, `
		location = /orders { default_type application/json; return 201 '{"order": "A-1",  "state": "taken"}'; }
	`, map[string]string{"terms.txt": "Payment within 30 days.\n"})
	client := testkit.NewGateway(t, testkit.OneBackend(nginx.URL)).Start().Client()
	tests := []struct {
		name, give string
		wantCall   string
		wantCode   int
		wantType   string
		wantResult string // part of it
	}{
		{
			name: "a POST", give: `{"payload": {"item": "tea"}, "metadata": {"path": "/orders"}}`,
			wantCall: "POST /orders", wantCode: http.StatusCreated, wantType: "application/json",
			wantResult: `{"order": "A-1",  "state": "taken"}`,
		},
		{
			name: "a GET of a file", give: `{"metadata": {"method": "GET", "path": "/terms.txt", "query": "v=2"}}`,
			wantCall: "GET /terms.txt?v=2", wantCode: http.StatusOK, wantType: "text/plain",
			wantResult: `"Payment within 30 days.\n"`,
		},
		{
			name: "a GET of what is not there", give: `{"metadata": {"method": "GET", "path": "/nowhere"}}`,
			wantCall: "GET /nowhere", wantCode: http.StatusNotFound, wantType: "text/html",
			wantResult: "404 Not Found",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			id := client.Submit(tt.give).CorrelationID

			result := client.Result(id)

			require.Equal(t, "COMPLETED", result.Status)
			require.Equal(t, 1, result.Attempts)
			require.Equal(t, tt.wantCode, result.StatusCode)
			require.Equal(t, tt.wantType, result.Headers["Content-Type"])
			require.Contains(t, string(result.Result), tt.wantResult)
			// nginx writes its log after it has answered.
			testkit.Until(t, "nginx has noted the call", func() bool { return len(nginx.CallsOf(id)) > 0 })
			require.Equal(t, []string{fmt.Sprintf("%s %s %d", tt.wantCall, id, tt.wantCode)}, nginx.CallsOf(id))
		})
	}
}

func TestASubmitAnswerSaysWhereAndWhenToAskForTheResult(t *testing.T) {
	t.Parallel()
	client := testkit.NewGateway(t, "").Start().Client()

	answer := client.Post(`{"payload": 1}`, nil)

	require.Equal(t, http.StatusAccepted, answer.Code)
	id := answer.Header.Get("X-Correlation-Id")
	require.NotEmpty(t, id)
	require.Equal(t, "/api/v1/status/"+id, answer.Header.Get("Location"))
	require.NotEmpty(t, answer.Header.Get("Retry-After"))
	require.Equal(t, "PENDING", answer.Header.Get("X-Openhqm-Status"))
	require.Equal(t, "COMPLETED", client.Result(id).Status)
	status := client.Status(id)
	require.Equal(t, id, status.CorrelationID)
	require.Equal(t, "COMPLETED", status.Status)
	require.Equal(t, "echo", status.Endpoint)
	require.Equal(t, 1, status.Attempts)
	require.False(t, status.UpdatedAt.Before(status.SubmittedAt))
}

func TestWithoutAnEndpointTheGatewayAnswersItself(t *testing.T) {
	t.Parallel()
	client := testkit.NewGateway(t, "").Start().Client()

	result := client.Result(client.Submit(`{"payload": {"hello":  "world"}}`).CorrelationID)

	require.Equal(t, "COMPLETED", result.Status)
	require.Equal(t, http.StatusOK, result.StatusCode)
	require.Contains(t, string(result.Result), `{"hello":  "world"}`)
}
