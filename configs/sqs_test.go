package configs

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheDefaultsOfSQS(t *testing.T) {
	t.Parallel()
	require.Equal(t, SQS{CreateQueues: true}, loadYAML(t, "").SQS)
}

func TestRulesOfSQS(t *testing.T) {
	t.Parallel()
	checkRules(t, []rule{
		{give: "{role: api, queue: {type: sqs, requests: a_b, responses: c}, sqs: {endpoint: 'http://a:1'}}"},
		{give: "{queue: {type: sqs, requests: a, responses: a-high}}", want: []string{
			`f.yaml:1: queue.responses: "a-high": is also where requests of high priority are; they must be different`,
		}},
		{give: "queue: {type: sqs, requests: a.fifo, responses: a.b}", want: []string{
			`f.yaml:1: queue.requests: "a.fifo": must not be a FIFO queue: it drops retries within 5 minutes, ` +
				`and blocks messages behind one that is handled`,
			`f.yaml:1: queue.responses: "a.b": must be 1 to 75 of A-Z a-z 0-9 _ - to name a queue of SQS`,
		}},
		{give: "{queue: {type: sqs, lease: 12h}, store: {ttl: 24h}, request: {max_age: 313h}, worker: {timeout: 12h}, " +
			"sqs: {endpoint: 'ftp://a'}, proxy: {endpoints: {a: {url: http://a}, " +
			"b: {url: http://b, timeout: 13h}}}}", want: []string{
			`f.yaml:1: sqs.endpoint: "ftp://a": must be an absolute URL, http or https, for instance ` +
				`https://orders.internal:8443/api`,
			`f.yaml:1: request.max_age: "313h": must be at most 312h with SQS, which keeps messages for 14 days`,
			`f.yaml:1: worker.timeout: "12h": must be at most 11h with SQS, which lends a message for 12h`,
			`f.yaml:1: proxy.endpoints.b.timeout: "13h": must be at most 11h with SQS, which lends a message for 12h`,
			`f.yaml:1: queue.lease: "12h": must be at most 11h with SQS, which lends a message for 12h`,
		}},
		{give: "queue: {type: sqs, lease: 1500ms}", want: []string{
			`f.yaml:1: queue.lease: "1500ms": must be whole seconds with queue.type "sqs"`,
		}},
	})
}

func TestTheExampleForSQS(t *testing.T) {
	t.Parallel()
	config := loadExample(t, QueueSQS)
	require.Equal(t, "eu-central-1", config.SQS.Region)
	require.Equal(t, 30*time.Second, config.Queue.Lease)
}

func TestTheLeaseAndTheHighLaneOfSQS(t *testing.T) {
	t.Parallel()
	config := loadYAML(t, "{queue: {type: sqs, lease: 20s, requests: a}}")
	require.Equal(t, 20*time.Second, config.Lease())
	require.Equal(t, "a-high", config.HighRequests())
}

func TestTheNameOfAnSQSEndpointIsKeptInASCII(t *testing.T) {
	t.Parallel()
	config, _, err := Load(Sources{Flags: map[string]string{"sqs.endpoint": "http://b%C3%BCcher.test:1"}})
	require.NoError(t, err)
	require.Equal(t, "http://xn--bcher-kva.test:1", config.SQS.Endpoint)
}

func TestOldNamesOfSQS(t *testing.T) {
	t.Parallel()
	const (
		sqs   = "OPENHQM_QUEUE__TYPE=sqs"
		local = "OPENHQM_QUEUE__SQS_QUEUE_URL=http://localstack:4566/000000000000/jobs"
	)
	checkOldNames(t, []oldCase{
		{
			give:  []string{sqs, "OPENHQM_QUEUE__SQS_REGION=eu-west-1"},
			get:   func(c Config) any { return c.SQS.Region },
			want:  "eu-west-1",
			warns: []string{"OPENHQM_QUEUE__SQS_REGION" + isOld + "SQS_REGION"},
		},
		{
			give: []string{sqs, "OPENHQM_QUEUE__SQS_QUEUE_URL=https://sqs.eu-west-1.amazonaws.com/123456789012/jobs"},
			get:  func(c Config) any { return []string{c.Queue.Requests, c.SQS.Region, c.SQS.Endpoint} },
			want: []string{"jobs", "eu-west-1", ""},
			warns: []string{"OPENHQM_QUEUE__SQS_QUEUE_URL" + isOld + `QUEUE_REQUESTS="jobs" and ` +
				`OPENHQM_SQS_REGION="eu-west-1"`},
		},
		{
			give: []string{sqs, local, "OPENHQM_QUEUE__REQUEST_QUEUE_NAME=other"},
			get:  func(c Config) any { return []string{c.Queue.Requests, c.SQS.Endpoint} },
			want: []string{"jobs", "http://localstack:4566"},
			warns: []string{
				"OPENHQM_QUEUE__REQUEST_QUEUE_NAME" + isOld +
					"QUEUE_REQUESTS (which OPENHQM_QUEUE__SQS_QUEUE_URL sets, too; that counts)",
				"OPENHQM_QUEUE__SQS_QUEUE_URL" + isOld + `QUEUE_REQUESTS="jobs" and ` +
					`OPENHQM_SQS_ENDPOINT="http://localstack:4566"`,
			},
		},
		{
			give: []string{
				sqs, "OPENHQM_QUEUE__SQS_QUEUE_URL=https://us-east-2.queue.amazonaws.com/1/jobs",
				"OPENHQM_QUEUE__SQS_REGION=us-east-1",
			},
			get:  func(c Config) any { return []string{c.Queue.Requests, c.SQS.Region, c.SQS.Endpoint} },
			want: []string{"jobs", "us-east-1", ""},
			warns: []string{
				"OPENHQM_QUEUE__SQS_QUEUE_URL" + isOld + `QUEUE_REQUESTS="jobs" and OPENHQM_SQS_REGION="us-east-2" ` +
					"(which OPENHQM_QUEUE__SQS_REGION sets, too; that counts)",
				"OPENHQM_QUEUE__SQS_REGION" + isOld + "SQS_REGION",
			},
		},
		{
			give: []string{"OPENHQM_QUEUE_TYPE=redis", local},
			get:  func(c Config) any { return []string{c.Queue.Requests, c.SQS.Endpoint} },
			want: []string{"openhqm-requests", ""},
			warns: []string{"OPENHQM_QUEUE__SQS_QUEUE_URL: is an old name of queue.requests and sqs.endpoint, which has no " +
				`effect with queue.type "redis"; set queue.type to use another queue`},
		},
	})
}
