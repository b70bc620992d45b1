package testkit

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// SQSSecret is what installations have for a key. It must be seen nowhere.
const SQSSecret = "aws-secret-5fa1" //nolint:gosec // it opens nothing

// SQSQueue is the queue of one installation: names that nobody else has in this run. Nothing of it exists before
// somebody makes it.
type SQSQueue struct {
	Name string // of the low lane; that of the high lane has "-high" behind it

	sqs *SQS
}

var lastSQSQueue atomic.Int64

// NewQueue chooses the name of a queue.
func (s *SQS) NewQueue() SQSQueue {
	return SQSQueue{Name: "requests-" + strconv.FormatInt(lastSQSQueue.Add(1), 10), sqs: s}
}

// Variables configure an installation that uses the queue; where its Redis is comes in addition.
func (q SQSQueue) Variables() []string {
	return []string{
		"OPENHQM_QUEUE_TYPE=sqs", "OPENHQM_SQS_ENDPOINT=" + q.sqs.URL, "OPENHQM_SQS_REGION=" + sqsRegion,
		"OPENHQM_QUEUE_REQUESTS=" + q.Name, "AWS_ACCESS_KEY_ID=openhqm", "AWS_SECRET_ACCESS_KEY=" + SQSSecret,
		"AWS_EC2_METADATA_DISABLED=true",
	}
}

// MakeQueue makes a queue with attributes ("MessageRetentionPeriod").
func (s *SQS) MakeQueue(tb testing.TB, name string, attributes map[string]string) {
	tb.Helper()
	s.do(tb, "CreateQueue", map[string]any{"QueueName": name, "Attributes": attributes})
}

// DeleteQueue deletes a queue with all that is in it.
func (s *SQS) DeleteQueue(tb testing.TB, name string) {
	tb.Helper()
	s.do(tb, "DeleteQueue", map[string]any{"QueueUrl": s.queueURL(name)})
}

// Send writes messages as other programs do, and gives their ids.
func (s *SQS) Send(tb testing.TB, name string, bodies ...string) (ids []string) {
	tb.Helper()
	for _, body := range bodies {
		sent := s.do(tb, "SendMessage", map[string]any{"QueueUrl": s.queueURL(name), "MessageBody": body})
		ids = append(ids, sent.MessageID)
	}
	return ids
}

// Take waits for a message as other programs do, and deletes it.
func (s *SQS) Take(tb testing.TB, name string) (body string) {
	tb.Helper()
	Until(tb, "there is a message in "+name, func() bool {
		told := s.do(tb, "ReceiveMessage", map[string]any{"QueueUrl": s.queueURL(name), "WaitTimeSeconds": 1})
		if len(told.Messages) == 0 {
			return false
		}
		m := told.Messages[0]
		s.do(tb, "DeleteMessage", map[string]any{"QueueUrl": s.queueURL(name), "ReceiptHandle": m.ReceiptHandle})
		body = m.Body
		return true
	})
	return body
}

// sqsAnswer is what answers have that we look at.
type sqsAnswer struct {
	MessageID string `json:"MessageId"` //nolint:tagliatelle // its name
	Messages  []struct {
		Body          string `json:"Body"`          //nolint:tagliatelle // its name
		ReceiptHandle string `json:"ReceiptHandle"` //nolint:tagliatelle // its name
	} `json:"Messages"` //nolint:tagliatelle // its name
}

// queueURL is that of ElasticMQ.
func (s *SQS) queueURL(name string) string { return s.URL + "/000000000000/" + name }

// sqsRegion is where all queues are.
const sqsRegion = "eu-central-1"

// do makes a request that must succeed, in the protocol AWS JSON 1.0. Nobody looks at its signature.
func (s *SQS) do(tb testing.TB, action string, in any) (out sqsAnswer) {
	tb.Helper()
	document, err := json.Marshal(in)
	require.NoError(tb, err)
	req, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, s.URL, bytes.NewReader(document))
	require.NoError(tb, err)
	req.Header.Set("Content-Type", "application/x-amz-json-1.0")
	req.Header.Set("X-Amz-Target", "AmazonSQS."+action)
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=nobody/20261123/"+sqsRegion+"/sqs/aws4_request, "+
		"SignedHeaders=host, Signature=none")
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: Patience}
	resp, err := client.Do(req)
	require.NoError(tb, err)
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	require.NoError(tb, err)
	require.Equal(tb, http.StatusOK, resp.StatusCode, "%s: %s", action, answer)
	if len(answer) > 0 {
		require.NoError(tb, json.Unmarshal(answer, &out))
	}
	return out
}
