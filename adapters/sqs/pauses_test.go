package sqs_test

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/adapters/sqs"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
	"github.com/openhqm/openhqm/tests/testkit"
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

// TestThrottledSendsAreTriedLessAndLessOften has a clock of its own, on which a message is sent again for 10 s. The
// pauses leave room for about ten tries; without them there would be no end, so the service has one.
func TestThrottledSendsAreTriedLessAndLessOften(t *testing.T) {
	t.Parallel()
	const enough = 1000
	synctest.Test(t, func(t *testing.T) {
		opts, w := options(t, "http://sqs.invalid"), newWire()
		opts.HTTPClient = &http.Client{Transport: w}
		w.inject(func(action, _ string) *http.Response {
			switch {
			case action == "GetQueueUrl":
				return answered(`{"QueueUrl":"http://sqs.invalid/1/requests"}`)
			case action != "SendMessageBatch":
				return answered(`{}`)
			case w.count(action) < enough:
				return refusal(http.StatusBadRequest, "RequestThrottled")
			}
			return refusal(http.StatusForbidden, "AccessDenied")
		})
		q, err := sqs.Open(t.Context(), opts)
		require.NoError(t, err)
		begun := time.Now()
		require.ErrorIs(t, q.Publish(t.Context(), messages(domain.LaneLow, 1))[0], ports.ErrUnavailable)
		require.GreaterOrEqual(t, time.Since(begun), 8*time.Second, "it is not given up early")
		require.Greater(t, w.count("SendMessageBatch"), 4)
		require.Less(t, w.count("SendMessageBatch"), 25)
		require.NoError(t, q.Close())
	})
}

func TestWhatIsThrottledIsDoneAllTheSame(t *testing.T) {
	t.Parallel()
	opts, w := options(t, testkit.SharedSQS(t).URL), newWire()
	opts.HTTPClient = client(t, w)
	q := open(t, opts)
	refused := make(map[string]int)
	w.inject(func(action, _ string) *http.Response {
		w.mu.Lock()
		defer w.mu.Unlock()
		if refused[action]++; refused[action] > 2 {
			return nil
		}
		return refusal(http.StatusBadRequest, "RequestThrottled")
	})
	sent := messages(domain.LaneLow, 5)
	publish(t, q, sent)
	settle(q, receive(t, q, len(sent))...)
	settled(t, q)
	for _, action := range []string{"SendMessageBatch", "ReceiveMessage", "DeleteMessageBatch"} {
		w.mu.Lock()
		require.Greater(t, refused[action], 2, action)
		w.mu.Unlock()
	}
}
