package faults_test

import (
	"testing"

	"github.com/openhqm/openhqm/tests/testkit"
)

// TestNoticesWithoutTheirQueueAreCountedAndNamed has a queue that is deleted, and that we may not make again.
func TestNoticesWithoutTheirQueueAreCountedAndNamed(t *testing.T) {
	t.Parallel()
	sqs := testkit.SharedSQS(t)
	queue := sqs.NewQueue()
	name := queue.Name + "-responses"
	for _, one := range []string{queue.Name, queue.High(), name} {
		sqs.MakeQueue(t, one, nil)
	}
	requireNoticesWait(t, name, func() { sqs.Delete(t, name) }, func() { sqs.MakeQueue(t, name, nil) },
		append(queue.Variables(), "OPENHQM_REDIS_URL="+testkit.StartRedis(t).URL(), "OPENHQM_SQS_CREATE_QUEUES=false")...)
}
