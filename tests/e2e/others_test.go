package e2e_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// others are programs that use the same broker, under names that it has for topics or queues.
type others interface {
	// read waits for the next message that has these words, and gives it.
	read(from string, words ...string) string
	write(to, id, message string)
}

// otherPrograms has an api whose requests others work off, also one of a large size, and a worker that tells others of
// all it does. Each has a Redis of its own, and names that begin with the prefix.
func otherPrograms(t *testing.T, others others, prefix string, large int, broker ...string) {
	t.Helper()
	install := func(role, config string, variables ...string) *testkit.Gateway {
		return testkit.NewGateway(t, config, slices.Concat(broker, variables, []string{
			"OPENHQM_REDIS_URL=" + testkit.StartRedis(t).URL(), "OPENHQM_ROLE=" + role,
		})...)
	}

	api := install("api", testkit.OneBackend("http://shop.internal"),
		"OPENHQM_QUEUE_REQUESTS="+prefix+"handed", "OPENHQM_QUEUE_RESULTS_IN="+prefix+"done").Start()
	id := api.Client().Submit(`{"payload": {"item": "tea"}}`).CorrelationID
	require.Contains(t, others.read(prefix+"handed", id), `"payload":{"item": "tea"}`)
	body := strings.Repeat("x", large)
	whole := api.Client().Submit(`{"payload": "` + body + `"}`).CorrelationID
	require.Contains(t, others.read(prefix+"handed", whole), body, "whole")
	others.write(prefix+"done", id, `{"correlation_id": "`+id+`", "status": "COMPLETED", "result": {"order": 17}}`)
	require.JSONEq(t, `{"order": 17}`, string(api.Client().Result(id).Result))

	backend := testkit.NewBackend(t, testkit.Refuse(http.StatusTeapot))
	worker := install("all", testkit.OneBackend(backend.URL), "OPENHQM_QUEUE_REQUESTS="+prefix+"carried",
		"OPENHQM_QUEUE_RESPONSES="+prefix+"told", "OPENHQM_QUEUE_DEAD_LETTERS="+prefix+"dead").Start()
	others.write(prefix+"carried", "theirs", `{"correlation_id": "theirs", "payload": 1}`)
	others.write(prefix+"carried", "oops", `{"oops"`)
	others.read(prefix+"told", `"correlation_id":"theirs"`, `"COMPLETED"`, "418")
	others.read(prefix+"dead", `"error":"message: is not valid JSON`)
	endWell(t, api, worker)
}
