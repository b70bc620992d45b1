package faults_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// healthDocument is what GET /health says.
type healthDocument struct {
	code       int
	Status     string
	Components map[string]struct{ Status, Error string }
}

func healthOf(t *testing.T, client *testkit.Client) healthDocument {
	t.Helper()
	answer := client.Get("/health")
	document := healthDocument{code: answer.Code}
	require.NoError(t, json.Unmarshal(answer.Body, &document))
	return document
}

// awaitHealth waits until a component says a text, with that status and code of all together.
func awaitHealth(t *testing.T, client *testkit.Client, code int, status, component, text string) {
	t.Helper()
	var last healthDocument
	defer func() {
		if t.Failed() {
			t.Logf("the last of health: %+v", last)
		}
	}()
	testkit.Until(t, "health says "+text, func() bool {
		last = healthOf(t, client)
		return last.code == code && last.Status == status && strings.Contains(last.Components[component].Error, text)
	})
}

// TestHealthNamesAKeyThatHoldsSomethingElse has a key of ours that another program has written.
func TestHealthNamesAKeyThatHoldsSomethingElse(t *testing.T) {
	t.Parallel()
	const requests = "{openhqm-requests}"
	for name, tt := range map[string]struct {
		key    string
		before bool // the start
		code   int
		status string
		want   string
		toEnd  bool // also holds that it stays so, and that it ends
	}{
		"the stream of other programs": {
			key: "openhqm-requests", toEnd: true,
			code: http.StatusOK, status: "degraded", want: "stream openhqm-requests: WRONGTYPE",
		},
		"the stream of other programs, before the start": {
			key: "openhqm-requests", before: true,
			code: http.StatusOK, status: "degraded", want: "stream openhqm-requests: WRONGTYPE",
		},
		"the endpoints": {
			key: requests + ":endpoints", code: http.StatusServiceUnavailable, status: "unavailable",
			want: "key " + requests + ":endpoints: WRONGTYPE",
		},
		"what is delayed, before the start": {
			key: requests + ":due", before: true, code: http.StatusServiceUnavailable, status: "unavailable",
			want: "key " + requests + ":due: WRONGTYPE",
		},
		"the ready requests of an endpoint": {
			key: requests + ":q:low:echo", code: http.StatusServiceUnavailable, status: "unavailable",
			want: "a key that begins with " + requests + ":q:: WRONGTYPE",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := testkit.StartRedis(t)
			gateway := testkit.NewGateway(t, "", "OPENHQM_QUEUE_TYPE=redis", "OPENHQM_REDIS_URL="+redis.URL())
			if tt.before {
				redis.Run("SET", tt.key, "x")
			}
			process := gateway.Launch()
			process.AwaitListening()
			client := process.Client()
			if !tt.before {
				client.Result(client.Submit(`{"payload": 1}`).CorrelationID)
				redis.Run("SET", tt.key, "x")
			}
			awaitHealth(t, client, tt.code, tt.status, "queue", tt.want)
			begun := time.Now()
			testkit.Until(t, "it stays so", func() bool { // longer than any pause between two tries
				require.Equal(t, tt.status, healthOf(t, client).Status)
				return !tt.toEnd || time.Since(begun) > 7*time.Second
			})
			redis.Run("DEL", tt.key)
			awaitReadiness(t, http.StatusOK, process)
			require.Equal(t, "COMPLETED", client.Result(client.Submit(`{"payload": 1}`).CorrelationID).Status)
			if tt.toEnd {
				awaitHealth(t, client, http.StatusOK, "ok", "queue", "")
				process.AwaitLog("broker refuses nothing any more")
			}
			requireToldAsRefusal(t, process)
		})
	}
}

// requireToldAsRefusal holds that the log has each refusal once, and no outage.
func requireToldAsRefusal(t *testing.T, process *testkit.Process) {
	t.Helper()
	log := process.Log.Text()
	require.NotContains(t, log, "broker unavailable")
	require.Contains(t, log, "broker refuses a part of the work")
	require.LessOrEqual(t, strings.Count(log, "broker refuses a part of the work"), 3, log)
}

// TestHealthNamesACommandThatIsNotAllowed has an operator who takes away a permission that is needed.
func TestHealthNamesACommandThatIsNotAllowed(t *testing.T) {
	t.Parallel()
	for command, tt := range map[string]struct {
		code   int
		status string
		want   string
	}{
		"xadd":    {http.StatusServiceUnavailable, "unavailable", "(command XADD)"},
		"evalsha": {http.StatusServiceUnavailable, "unavailable", "'evalsha' command"},
		"zcard":   {http.StatusServiceUnavailable, "unavailable", "'zcard' command"},
		"blpop":   {http.StatusOK, "degraded", "'blpop' command"},
	} {
		t.Run(command, func(t *testing.T) {
			t.Parallel()
			redis := testkit.StartRedis(t)
			redis.Run("ACL", "SETUSER", "gateway", "on", ">sesame", "~*", "&*", "+@all")
			gateway := testkit.NewGateway(t, "",
				"OPENHQM_QUEUE_TYPE=redis", "OPENHQM_REDIS_URL=redis://gateway:sesame@"+redis.Address)
			process := gateway.Start()
			client := process.Client()
			client.Result(client.Submit(`{"payload": 1}`).CorrelationID)

			redis.Run("CONFIG", "RESETSTAT")
			redis.Run("ACL", "SETUSER", "gateway", "-"+command)
			begun, posted := time.Now(), 0
			testkit.Until(t, "five seconds are over", func() bool {
				client.Post(`{"payload": 1}`, nil)
				posted++
				return time.Since(begun) > 5*time.Second
			})
			awaitHealth(t, client, tt.code, tt.status, "queue", tt.want)
			refused := redis.Errors()
			require.Positive(t, refused)
			require.Less(t, refused, 60+2*posted, "the tries have pauses between them")

			redis.Run("ACL", "SETUSER", "gateway", "+"+command)
			awaitReadiness(t, http.StatusOK, process)
			require.Equal(t, "COMPLETED", client.Result(client.Submit(`{"payload": 1}`).CorrelationID).Status)
			log := process.Log.Text()
			require.NotContains(t, log, "broker unavailable")
			require.LessOrEqual(t, strings.Count(log, "broker refuses a part of the work"), 6, log)
		})
	}
}

// TestNoticesThatCannotBePublishedAreCountedAndNamed has an outlet that accepts nothing for a while.
func TestNoticesThatCannotBePublishedAreCountedAndNamed(t *testing.T) {
	t.Parallel()
	const responses = "openhqm-responses"
	redis := testkit.StartRedis(t)
	requireNoticesWait(t, responses,
		func() { redis.Run("SET", responses, "x") }, func() { redis.Run("DEL", responses) },
		"OPENHQM_QUEUE_TYPE=redis", "OPENHQM_REDIS_URL="+redis.URL())
}

// requireNoticesWait holds that requests get on although notices of their results cannot be published, which health
// names and metrics count.
func requireNoticesWait(t *testing.T, responses string, spoil, mend func(), variables ...string) {
	t.Helper()
	const some = 5
	gateway := testkit.NewGateway(t, "", append(variables, "OPENHQM_QUEUE_RESPONSES="+responses)...)
	process := gateway.Start()
	client := process.Client()
	spoil()
	for range some {
		require.Equal(t, "COMPLETED", client.Result(client.Submit(`{"payload": 1}`).CorrelationID).Status)
	}
	awaitHealth(t, client, http.StatusOK, "degraded", "notices", "notices of results are not published to "+responses+": ")
	const waiting = `openhqm_notices_waiting{kind="results"}`
	require.InDelta(t, some, client.Metrics()[waiting], 0)
	require.Equal(t, http.StatusOK, client.Get("/health/ready").Code)
	mend()
	testkit.Until(t, "all notices are published", func() bool { return client.Metrics()[waiting] == 0 })
	awaitHealth(t, client, http.StatusOK, "ok", "notices", "")
	require.Equal(t, 1, strings.Count(process.Log.Text(), "notices are not published; trying again"))
	process.AwaitLog("notices are published again")
}
