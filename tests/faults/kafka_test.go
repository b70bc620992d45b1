package faults_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// The broker that coordinates the group leads a part of the partitions too.
func TestOneOfThreeBrokersOfKafkaDiesUnderLoad(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, answerLoad)
	kafka := testkit.StartKafka(t, 3)
	f := onQueue(t, kafka.NewQueue(), fleetConfig(backend), lease)
	processes := f.start(2)
	load := startLoad(t, f.api)
	awaitMoment(t, load.ledger, backend)
	coordinator := kafka.Coordinator(t)

	kafka.Kill(coordinator)
	awaitAccepted(t, load.ledger, 500)
	backend.Await(len(backend.Calls()) + 500)
	awaitReadiness(t, http.StatusOK, processes...)
	load.stop()

	load.ledger.await(t, processes[0].Client())
	require.Zero(t, load.ledger.audit(t, backend), "no worker died")
	requireFewComplaints(t, fewComplaints, processes...)
	t.Logf("%d requests, %d answers 503; the one that took longest took %s",
		len(load.ledger.entries()), load.refused.Load(), load.ledger.longest(t))
}

// TestNoticesThatATopicRefusesAreCountedAndNamed has a topic that finds every message too old.
func TestNoticesThatATopicRefusesAreCountedAndNamed(t *testing.T) {
	t.Parallel()
	kafka := testkit.SharedKafka(t)
	queue := kafka.NewQueue()
	name := queue.Name + "-responses"
	kafka.MakeTopic(t, name, "message.timestamp.type=CreateTime", "message.timestamp.before.max.ms=0", "retention.ms=-1")
	requireNoticesWait(t, name, func() {}, func() { kafka.Delete(t, name) }, // it is made again, and is better then
		append(queue.Variables(), "OPENHQM_REDIS_URL="+testkit.StartRedis(t).URL())...)
}
