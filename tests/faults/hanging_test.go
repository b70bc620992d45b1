package faults_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// installations start the gateway on each backend, with one process or with its roles apart, and give the client of
// what clients speak to.
var installations = map[string]func(t *testing.T, config string) *testkit.Client{
	"embedded": func(t *testing.T, config string) *testkit.Client {
		t.Helper()
		return testkit.NewGateway(t, config).Start().Client()
	},
	"redis": func(t *testing.T, config string) *testkit.Client {
		t.Helper()
		variables := []string{"OPENHQM_QUEUE_TYPE=redis", "OPENHQM_REDIS_URL=" + testkit.StartRedis(t).URL()}
		testkit.NewGateway(t, config, append(variables, "OPENHQM_ROLE=worker")...).Start()
		return testkit.NewGateway(t, config, append(variables, "OPENHQM_ROLE=api")...).Start().Client()
	},
}

// scarce is the default configuration with a tenth of the memory, and of what may be sent and answered: half of the
// slots would hold more than there is for requests, or for responses.
const scarce = `
server: {max_body_size: 1MiB}
worker: {max_bytes: 24MiB}
proxy: {max_response_size: 1MiB, endpoints: {hangs: {url: %q}, works: {url: %q}}}
`

func TestAnEndpointThatHangsWithAllTheMemoryItGetsLeavesTheOthersAlone(t *testing.T) {
	t.Parallel()
	const largest = 1 << 20
	tests := map[string]struct {
		give  []byte        // what the endpoint that hangs is sent
		reply testkit.Reply // of that endpoint
	}{
		"requests":  {give: make([]byte, largest), reply: testkit.Hold(nil, testkit.Echo())},
		"responses": {give: nil, reply: beginAndHang(largest)},
	}
	for backend, start := range installations {
		for what, tt := range tests {
			t.Run(backend+", "+what, func(t *testing.T) {
				t.Parallel()
				hangs, works := testkit.NewBackend(t, tt.reply), testkit.NewBackend(t, testkit.Echo())
				client := start(t, fmt.Sprintf(scarce, hangs.URL, works.URL))
				requireNotHeldUp(t, client, hangs, works, tt.give)
			})
		}
	}
}

// requireNotHeldUp sends one endpoint more than it may hold, and then the other what needs memory both ways.
func requireNotHeldUp(t *testing.T, client *testkit.Client, hangs, works *testkit.Backend, give []byte) {
	t.Helper()
	const hanging, good, called = 32, 20, 6 // calls that are made whatever the share is
	crowd(t, hanging, 4, func(int) error {
		_, err := upload(t, client, "hangs", give)
		return err
	})
	hangs.Await(called)
	ids := make([]string, good)
	crowd(t, good, 4, func(n int) (err error) {
		ids[n], err = upload(t, client, "works", bytes.Repeat([]byte("1,"), n<<14)) // of the last, most of what may be
		return err
	})
	requireCompleted(t, client, ids)
	require.Len(t, works.Calls(), good)
}

// beginAndHang says how much it will answer, sends the half of it, and then nothing until its caller leaves.
func beginAndHang(size int) testkit.Reply {
	return func(w http.ResponseWriter, r *http.Request, _ *testkit.Call) {
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = w.Write(make([]byte, size/2)) // a caller that has left does not want it
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

// upload sends a body as it is to an endpoint and returns the id.
func upload(t *testing.T, client *testkit.Client, endpoint string, body []byte) (string, error) {
	t.Helper()
	octets := http.Header{"Content-Type": {"application/octet-stream"}}
	answer, err := client.Call(t.Context(), http.MethodPut, "/proxy/"+endpoint+"/files", octets, body)
	if err != nil {
		return "", err
	}
	if answer.Code != http.StatusAccepted {
		return "", fmt.Errorf("answered %d %.300s", answer.Code, answer.Body)
	}
	return answer.Header.Get("X-Correlation-Id"), nil
}
