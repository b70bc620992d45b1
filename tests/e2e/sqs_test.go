package e2e_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// What is handed over is in one message, and ElasticMQ does not say how large one may be. Then it is 256 KiB.
func TestARequestThatSQSCannotHandOverFails(t *testing.T) {
	t.Parallel()
	queue := testkit.SharedSQS(t).NewQueue()
	api := onCarrier(t, queue, testkit.StartRedis(t), "api", "", "OPENHQM_QUEUE_RESULTS_IN=of-what-is-too-large").Start()
	client := api.Client()
	id := client.Submit(`{"payload": "` + strings.Repeat("x", 256<<10) + `"}`).CorrelationID

	result := client.Result(id)

	require.Equal(t, "FAILED", result.Status)
	require.Contains(t, result.Error, "sqs accepts 262144")
}

func TestAnSQSThatCannotBeUsedFailsTheStart(t *testing.T) {
	t.Parallel()
	server, moto := testkit.SharedSQS(t), testkit.StartMoto(t) // which says for how long it keeps messages
	forgetful := moto.NewQueue()
	moto.MakeQueue(t, forgetful.Name, map[string]string{"MessageRetentionPeriod": "3600"})
	refusing := testkit.NewBackend(t, testkit.Respond(http.StatusForbidden, "application/x-amz-json-1.0",
		`{"__type": "com.amazon.coral.service#InvalidClientTokenId", "message": "token `+testkit.SQSSecret+`"}`))
	queue := server.NewQueue()
	tests := []struct {
		name  string
		queue testkit.Queue
		give  []string // variables
		want  []string
	}{
		{
			name: "a queue is missing", queue: queue, give: []string{"OPENHQM_SQS_CREATE_QUEUES=false"},
			want: []string{queue.Name, "does not exist", "sqs.create_queues is off", server.URL},
		},
		{
			name: "a queue that forgets too soon", queue: forgetful,
			want: []string{forgetful.Name, "keeps messages for 1h0m0s", "at least 96h0m0s", moto.URL},
		},
		{
			name: "no credentials", queue: queue, give: []string{"AWS_ACCESS_KEY_ID="},
			want: []string{"credentials", server.URL},
		},
		{
			name: "credentials of nobody", queue: queue, give: []string{"OPENHQM_SQS_ENDPOINT=" + refusing.URL},
			want: []string{"does not accept these credentials", "sqs:GetQueueUrl", refusing.URL},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			requireStartFails(t, onCarrier(t, tt.queue, testkit.StartRedis(t), "all", "", tt.give...), tt.want...)
		})
	}
}

func TestAConfigurationOfSQSThatMakesNoSenseIsRefused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, give, want string
	}{
		{"a FIFO queue", "OPENHQM_QUEUE_REQUESTS=requests.fifo", `queue.requests: "requests.fifo": `},
		{"a secret in the endpoint", "OPENHQM_SQS_ENDPOINT=http://me:aws-secret@sqs", "sqs.endpoint: "},
		{"a lease that SQS cannot do", "OPENHQM_QUEUE_LEASE=12h", `queue.lease: "12h": must be at most 11h`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			output := testkit.NewGateway(t, "", "OPENHQM_QUEUE_TYPE=sqs", tt.give).Run()

			require.Equal(t, exitUsage, output.Code, output.Stderr)
			require.Contains(t, output.Stderr, tt.want)
			require.NotContains(t, output.Stderr, "secret")
		})
	}
}

func TestACheckNamesAMissingRegionOfSQS(t *testing.T) {
	t.Parallel()
	output := testkit.NewGateway(t, "", "OPENHQM_QUEUE_TYPE=sqs", "AWS_CONFIG_FILE=/none").Run("config", "--check")
	require.Equal(t, exitUsage, output.Code)
	require.Contains(t, output.Stderr, "sqs.region is empty, and neither AWS_REGION nor a profile names one")
}
