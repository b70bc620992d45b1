package faults_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestWhatADeadWorkerHeldIsTakenOverWhenItsLeaseIsOver(t *testing.T) {
	t.Parallel()
	const lease, others = 2 * time.Second, slots / 2
	release := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.InTurn(testkit.Hold(release, testkit.Echo()), testkit.Echo()))
	f := newFleet(t, testkit.StartRedis(t),
		testkit.OneBackend(backend.URL)+fmt.Sprintf("worker: {count: %d}\nqueue: {lease: %s}\n", slots, lease))
	client := f.api.Start().Client()
	victim := f.workers.Start()
	held := submitMany(t, client, slots, to("backend"))
	backend.Await(slots)
	f.workers.Start()
	kept := submitMany(t, client, others, to("backend"))
	backend.Await(slots + others)
	began := f.redis.Time()

	clock := testkit.StartClock(t, client)
	victim.Kill()
	requireCompleted(t, client, held)
	took := clock.Elapsed()
	testkit.Until(t, "the others are older than their leases", func() bool {
		return f.redis.Time().Sub(began) > 2*lease
	})
	close(release)
	requireCompleted(t, client, kept)

	t.Logf("taken over and final %s after the death, with leases of %s", took, lease)
	require.Less(t, took, lease+10*time.Second, "the promise is 2 s after the lease; the rest is for a busy machine")
	for _, id := range held {
		require.Len(t, backend.CallsOf(id), 2)
	}
	for _, id := range kept {
		require.Len(t, backend.CallsOf(id), 1, "its worker lives")
	}
}

func TestATakeoverAsShippedIsUnder30Seconds(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.InTurn(testkit.Hold(make(chan struct{}), testkit.Echo()), testkit.Echo()))
	f := newFleet(t, testkit.StartRedis(t), testkit.OneBackend(backend.URL))
	client := f.api.Start().Client()
	victim := f.workers.Start()
	held := submitMany(t, client, 1, to("backend"))
	backend.Await(1)
	f.workers.Start()

	clock := testkit.StartClock(t, client)
	victim.Kill()
	backend.Await(2)

	require.Less(t, clock.Elapsed(), 30*time.Second)
	requireCompleted(t, client, held)
}

// A process may be stopped for longer than its lease (by a debugger, a hypervisor, a full disk) and go on as if nothing
// had happened. What it has to say then comes too late.
func TestAWorkerThatWasStoppedPastItsLeaseChangesNothing(t *testing.T) {
	t.Parallel()
	onEachBroker(t, stoppedPastItsLease)
}

func stoppedPastItsLease(t *testing.T, install installer) {
	t.Helper()
	const slots = 4 // as many run at once of what was in flight when a worker seemed to die
	first, second := make(chan struct{}), make(chan struct{})
	late := testkit.Respond(http.StatusOK, "text/plain", "too late")
	backend := testkit.NewBackend(t,
		testkit.InTurn(testkit.Hold(first, late), testkit.Hold(second, testkit.Echo())))
	f := install(t, testkit.OneBackend(backend.URL)+fmt.Sprintf("worker: {count: %d}\n", slots), time.Second)
	client := f.api.Start().Client()
	stopped := f.workers.Start()
	ids := submitMany(t, client, slots, to("backend"))
	backend.Await(slots)

	stopped.Signal(syscall.SIGSTOP)
	f.workers.Start()
	backend.Await(2 * slots)
	close(first)
	stopped.Signal(syscall.SIGCONT)
	stopped.Signal(syscall.SIGTERM)
	require.True(t, stopped.Wait().Success(), "it has said all that it had to say")
	client.RequireDepth(testkit.Depth{Leased: slots})
	close(second)

	for _, id := range ids {
		requireCompletedAt(t, client, id, 1, "the other's call was the one that counts")
		require.NotContains(t, string(client.Result(id).Result), "too late")
		require.Len(t, backend.CallsOf(id), 2)
	}
	client.RequireDepth(testkit.Depth{})
	requireFewComplaints(t, 1, stopped) // a command that was under way when it was stopped may have timed out
}

func TestWorkersAreReplacedOneByOneUnderLoad(t *testing.T) {
	t.Parallel()
	onEachBroker(t, replacedOneByOne)
}

// replacedOneByOne has a lease that nobody waits for: each worker says when it leaves.
func replacedOneByOne(t *testing.T, install installer) {
	t.Helper()
	const workers = 3
	backend := testkit.NewBackend(t, func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
		reply := answerLoad
		if rand.N(20) == 0 {
			reply = func(w http.ResponseWriter, r *http.Request, call *testkit.Call) {
				testkit.Delay(500*time.Millisecond, answerLoad)(w, r, call)
			}
		}
		reply(w, r, call)
	})
	f := install(t, fleetConfig(backend), longLease)
	processes := f.start(workers)
	load := startLoad(t, f.api)

	for _, old := range processes[1:] {
		awaitMoment(t, load.ledger, backend)
		old.Signal(syscall.SIGTERM)
		f.workers.Start()
		state := old.Wait()
		require.True(t, state.Success(), "%s", state)
	}
	load.stop()

	load.ledger.await(t, processes[0].Client())
	require.Zero(t, load.ledger.audit(t, backend), "every call had the time to end")
	requireFewComplaints(t, 0, processes...)
	longest := load.ledger.longest(t)
	t.Logf("%d requests; the one that took longest took %s", len(load.ledger.entries()), longest)
	require.Less(t, longest, longLease/2)
}

func TestWhatADrainCutsOffGoesOnElsewhere(t *testing.T) {
	t.Parallel()
	onEachBroker(t, cutOffByADrain)
}

func cutOffByADrain(t *testing.T, install installer) {
	t.Helper()
	const waiting = 50
	release := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.Hold(release, testkit.Echo()))
	f := install(t,
		testkit.OneBackend(backend.URL)+fmt.Sprintf("worker: {count: %d, drain: 300ms}\n", slots), time.Minute)
	client := f.api.Start().Client()
	old := f.workers.Start()
	cut := submitMany(t, client, slots, to("backend"))
	backend.Await(slots)
	left := submitMany(t, client, waiting, to("backend"))

	old.Signal(syscall.SIGTERM)
	require.True(t, old.Wait().Success())
	client.RequireDepth(testkit.Depth{Ready: slots + waiting}) // all of it was handed back
	close(release)
	f.workers.Start()
	for _, id := range cut {
		requireCompletedAt(t, client, id, 2, "the one that was cut off is charged")
		require.Len(t, backend.CallsOf(id), 2)
	}
	for _, id := range left {
		requireCompletedAt(t, client, id, 1, "it was not begun")
		require.Len(t, backend.CallsOf(id), 1)
	}
}

// requireCompletedAt waits for a good end at that attempt.
func requireCompletedAt(t *testing.T, client *testkit.Client, id string, attempts int, why string) {
	t.Helper()
	result := client.Result(id)
	require.Equalf(t, "COMPLETED", result.Status, "%s", result.Document)
	require.Equal(t, attempts, result.Attempts, why)
}

func TestARequestThatKillsItsWorkerEveryTimeIsADeadLetter(t *testing.T) {
	t.Parallel()
	onEachBroker(t, killsItsWorkerEveryTime)
}

func killsItsWorkerEveryTime(t *testing.T, install installer) {
	t.Helper()
	const deliveries = 3
	backend := testkit.NewBackend(t, testkit.Hold(t.Context().Done(), testkit.Echo()))
	f := install(t,
		testkit.OneBackend(backend.URL)+fmt.Sprintf("queue: {max_deliveries: %d}\n", deliveries), time.Second)
	client := f.api.Start().Client()
	id := client.Submit(`{"payload": "poison"}`).CorrelationID
	for n := range deliveries {
		worker := f.workers.Start()
		backend.Await(n + 1)
		worker.Kill()
	}
	f.workers.Start()

	result := client.Result(id)

	require.Equal(t, "FAILED", result.Status)
	require.Zero(t, result.Attempts, "no attempt has ended")
	require.Len(t, backend.CallsOf(id), deliveries)
	letter := client.Get("/api/v1/dead-letters/" + id)
	require.Equal(t, http.StatusOK, letter.Code)
	require.Contains(t, string(letter.Body), `"reason":"max_deliveries"`)
	require.Contains(t, string(letter.Body), `"poison"`)
}

func TestAnEndpointThatHangsLeavesTheOthersAloneOnRedis(t *testing.T) {
	t.Parallel()
	const workers, hanging, good, half = 2, 1000, 500, 32 // half of worker.count, which is 64 by default
	never := make(chan struct{})
	hangs, works := testkit.NewBackend(t, testkit.Hold(never, testkit.Echo())), testkit.NewBackend(t, testkit.Echo())
	// How often leases are extended follows their length, and isQuiet counts that too.
	config := "queue: {lease: 60s}\nproxy: {endpoints: {hangs: {url: '" + hangs.URL + "'}, works: {url: '" +
		works.URL + "'}}}\n"
	f := newFleet(t, testkit.StartRedis(t), config)
	processes := f.start(workers)
	client := processes[0].Client()
	work := func() (commands int) {
		before := f.redis.Calls()
		requireCompleted(t, client, submitMany(t, client, good, to("works")))
		return f.redis.Calls() - before
	}

	alone := work()
	submitMany(t, client, hanging, to("hangs"))
	hangs.Await(workers * half)
	beside := work()

	require.Len(t, hangs.Calls(), workers*half)
	require.Equal(t, testkit.Depth{Ready: hanging - workers*half, Leased: workers * half}, client.Depth())
	t.Logf("%d requests took %d commands, and %d beside those that wait", good, alone, beside)
	require.Less(t, beside, 2*alone)
	requireQuiet(t, f.redis, len(processes))
}

func TestProcessesWithoutWorkLeaveRedisAlone(t *testing.T) {
	t.Parallel()
	f := newFleet(t, testkit.StartRedis(t), "")
	processes := f.start(2)
	client := processes[0].Client()
	client.Result(client.Submit(`{"payload": 1}`).CorrelationID) // all that starts with the first work has started

	requireQuiet(t, f.redis, len(processes))
}

// requireQuiet waits for the processes to come to rest: what is left of earlier work may take a while.
func requireQuiet(t *testing.T, redis *testkit.Redis, processes int) {
	t.Helper()
	testkit.Until(t, "Redis is left alone", func() bool { return isQuiet(t, redis, processes) })
}

// isQuiet counts what Redis is made to do for some seconds of its own clock, the commands in scripts included. An idle
// worker waits in a blocking read, again and again, and looks around after each: that is a round. How many there are
// follows the clock, and how many commands there are follows the rounds. Every process may be in the middle of one more
// at both ends. On top, every process sweeps once a second, with a note that it lives, the numbers of requests and dead
// letters, and the pauses.
func isQuiet(t *testing.T, redis *testkit.Redis, processes int) bool {
	t.Helper()
	const perSecond, perRound, perSweep = 2, 12, 4 // rounds of one worker, and commands
	workers := processes - 1
	rounds := func() int { return redis.CallsOf("blpop") + redis.CallsOf("xreadgroup") }
	began, callsBefore, roundsBefore := redis.Time(), redis.Calls(), rounds()
	redis.Run("BLPOP", "nothing", "3")
	called, waited := redis.Calls()-callsBefore, rounds()-roundsBefore-1 // without that one
	seconds := int(redis.Time().Sub(began)/time.Second) + 1
	t.Logf("%d commands in %d rounds of %d processes within %d seconds", called, waited, processes, seconds)
	most := perRound*(waited+processes) + perSweep*processes*seconds
	return waited > 0 && waited <= perSecond*workers*seconds && called <= most
}
