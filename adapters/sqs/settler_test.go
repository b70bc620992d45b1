package sqs_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/sqs"
)

// keepOne stands for a service that has one message, and does not delete it.
func keepOne(w *wire) {
	w.inject(func(action, _ string) *http.Response {
		switch action {
		case "GetQueueUrl":
			return answered(`{"QueueUrl":"http://sqs.invalid/1/requests"}`)
		case "ReceiveMessage":
			if w.count(action) == 1 {
				return answered(`{"Messages":[{"MessageId":"1","ReceiptHandle":"1","Body":"x",` +
					`"MD5OfBody":"9dd4e461268c8034f5c8564e155c67a6"}]}`)
			}
			return answered(`{}`)
		case "DeleteMessageBatch":
			return refusal(http.StatusServiceUnavailable, "ServiceUnavailable")
		}
		return answered(`{}`)
	})
}

// TestDeletionsThatFailAreTriedLessAndLessOften has a minute of a clock of its own. Pauses of up to 2 s, half of which
// is random, leave room in it for 30 to 60 tries, and for a few before they are that long.
func TestDeletionsThatFailAreTriedLessAndLessOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		opts, w := options(t, "http://sqs.invalid"), newWire()
		opts.Visibility = 5 * time.Minute
		opts.HTTPClient = &http.Client{Transport: w}
		keepOne(w)
		q, err := sqs.Open(t.Context(), opts)
		require.NoError(t, err)
		got := receive(t, q, 1)
		settle(q, got...)
		<-time.After(time.Minute)
		synctest.Wait()
		require.Greater(t, w.count("DeleteMessageBatch"), 25)
		require.Less(t, w.count("DeleteMessageBatch"), 70)
		require.NoError(t, q.Close())
	})
}
