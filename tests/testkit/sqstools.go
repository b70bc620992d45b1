package testkit

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// SQSSecret is the secret key of installations. No output may show it.
const SQSSecret = "aws-secret-5fa1" //nolint:gosec // it opens nothing

// NewQueue chooses the name of a queue.
func (s *SQS) NewQueue() Queue { return sqsCarrier().NewQueue(s) }

// MakeQueue creates a queue with attributes ("MessageRetentionPeriod").
func (s *SQS) MakeQueue(tb testing.TB, name string, attributes map[string]string) {
	tb.Helper()
	s.do(tb, "CreateQueue", map[string]any{"QueueName": name, "Attributes": attributes})
}

// Delete deletes queues.
func (s *SQS) Delete(tb testing.TB, names ...string) {
	tb.Helper()
	for _, name := range names {
		s.do(tb, "DeleteQueue", map[string]any{"QueueUrl": s.queueURL(name)})
	}
}

// Purge deletes all messages of queues.
func (s *SQS) Purge(tb testing.TB, names ...string) {
	tb.Helper()
	for _, name := range names {
		s.do(tb, "PurgeQueue", map[string]any{"QueueUrl": s.queueURL(name)})
	}
}

// Send writes messages. SQS chooses an id for each, from which that of a request is made.
func (s *SQS) Send(tb testing.TB, name string, messages ...Message) (ids []string) {
	tb.Helper()
	for _, m := range messages {
		sent := s.do(tb, "SendMessage", map[string]any{"QueueUrl": s.queueURL(name), "MessageBody": m.Value})
		ids = append(ids, "message-"+regexp.QuoteMeta(sent.MessageID))
	}
	return ids
}

// Read receives messages and deletes them, so it keeps them for the next call.
func (s *SQS) Read(tb testing.TB, name string, n int) []Message {
	tb.Helper()
	s.mu.Lock()
	read := s.read[name]
	s.mu.Unlock()
	Until(tb, fmt.Sprintf("there are %d messages in %s", n, name), func() bool {
		if len(read) >= n {
			return true
		}
		answer := s.do(tb, "ReceiveMessage", map[string]any{"QueueUrl": s.queueURL(name), "WaitTimeSeconds": 1})
		for _, m := range answer.Messages {
			s.do(tb, "DeleteMessage", map[string]any{"QueueUrl": s.queueURL(name), "ReceiptHandle": m.ReceiptHandle})
			read = append(read, Message{Value: m.Body})
		}
		return false
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read == nil {
		s.read = make(map[string][]Message)
	}
	s.read[name] = read
	return read[:n]
}

// sqsAnswer is the part of answers that we read.
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
