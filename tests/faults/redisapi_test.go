package faults_test

import (
	"net/http"
	"net/http/httptrace"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestAnAPIThatDiesUnderLoadTakesNothingWithIt(t *testing.T) {
	t.Parallel()
	const kills = 4
	backend := testkit.NewBackend(t, answerLoad)
	f := newFleet(t, testkit.StartRedis(t), fleetConfig(backend))
	processes := f.start(2)
	api := processes[0]
	load := startLoad(t, f.api)

	for range kills {
		awaitMoment(t, load.ledger, backend)
		api.Kill()
		api = f.api.Start()
		load.ledger.spotCheck(t, api.Client())
	}
	load.stop()

	load.ledger.await(t, api.Client())
	require.Zero(t, load.ledger.audit(t, backend), "no worker died")
	requireFewComplaints(t, 0, processes...)
}

// The worker that ends a request is in one process, and those who wait for it in others. None of them may find it out
// only when its wait is over.
func TestThoseWhoWaitAreWokenByOtherProcesses(t *testing.T) {
	t.Parallel()
	const waiters = 40
	release := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.Hold(release, testkit.Echo()))
	f := newFleet(t, testkit.StartRedis(t), testkit.OneBackend(backend.URL))
	apis := []*testkit.Process{f.api.Start(), f.api.Start()}
	f.workers.Start()
	ids := submitMany(t, apis[0].Client(), waiters/2, to("backend"))

	var sent, group sync.WaitGroup
	sent.Add(waiters)
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { sent.Done() },
	})
	for number := range waiters {
		group.Go(func() {
			answer, err := apis[number%2].Client().Response(ctx, ids[number/2], "60s")
			if err != nil {
				t.Errorf("wait: %v", err)
			} else if answer.Code != http.StatusOK {
				t.Errorf("answered %d: %s", answer.Code, answer.Body)
			}
		})
	}
	backend.Await(len(ids))
	sent.Wait()
	clock := testkit.StartClock(t, apis[0].Client())
	close(release)
	group.Wait()

	require.Less(t, clock.Elapsed(), 30*time.Second, "well before a wait would be over")
	require.Len(t, backend.Calls(), len(ids))
}
