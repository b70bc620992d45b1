package faults_test

import (
	"net/http"
	"net/http/httptrace"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestAShutdownUnderLoadLosesNothingAndRepeatsNothing(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, answerLoad)
	gateway := testkit.NewGateway(t, loadConfig(backend))
	process := gateway.Start()
	load := startLoad(t, gateway)

	for _, signal := range []os.Signal{syscall.SIGTERM, os.Interrupt, syscall.SIGTERM} {
		awaitMoment(t, load.ledger, backend)
		process.Signal(signal)
		state := process.Wait()
		require.Truef(t, state.Success(), "after %s: %s", signal, state)
		process = gateway.Start()
		load.ledger.spotCheck(t, process.Client())
	}
	load.stop()

	load.ledger.await(t, process.Client())
	require.Zero(t, load.ledger.audit(t, backend), "every call had the time to end")
}

func TestARunningCallMayEndAtAShutdownAndWhatWaitsGoesOnWaiting(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.Hold(release, testkit.Echo()))
	gateway := testkit.NewGateway(t, testkit.OneBackend(backend.URL)+"worker: {count: 1, drain: 20s}\n")
	process := gateway.Start()
	begun := process.Client().Submit(`{"payload": 1}`).CorrelationID
	backend.Await(1)
	waiting := process.Client().Submit(`{"payload": 2}`).CorrelationID

	process.Signal(syscall.SIGTERM)
	process.AwaitLog("shutting down")
	close(release)
	require.True(t, process.Wait().Success())

	client := gateway.Start().Client()
	for _, id := range []string{begun, waiting} {
		result := client.Result(id)
		require.Equal(t, "COMPLETED", result.Status)
		require.Equal(t, 1, result.Attempts)
		require.Len(t, backend.CallsOf(id), 1)
	}
}

func TestACallThatOutlivesTheDrainIsCutOffChargedAndMadeAgain(t *testing.T) {
	t.Parallel()
	never := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.InTurn(testkit.Hold(never, testkit.Echo()), testkit.Echo()))
	gateway := testkit.NewGateway(t, testkit.OneBackend(backend.URL)+"worker: {drain: 300ms}\n")
	process := gateway.Start()
	id := process.Client().Submit(`{"payload": 1}`).CorrelationID
	backend.Await(1)

	process.Signal(syscall.SIGTERM)
	require.True(t, process.Wait().Success())
	require.Len(t, backend.CallsOf(id), 1)

	result := gateway.Start().Client().Result(id)
	require.Equal(t, "COMPLETED", result.Status)
	require.Equal(t, 2, result.Attempts)
	calls := backend.CallsOf(id)
	require.Len(t, calls, 2)
	require.Equal(t, 2, calls[1].Attempt, "the one that was cut off is charged")
}

func TestASecondSignalEndsTheProcessAtOnce(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			never := make(chan struct{})
			backend := testkit.NewBackend(t, testkit.Hold(never, testkit.Echo()))
			config := testkit.OneBackend(backend.URL) + "worker: {drain: 1h}\n"
			process := testkit.NewGateway(t, config).Start()
			process.Client().Submit(`{"payload": 1}`)
			backend.Await(1)
			process.Signal(signal)
			process.AwaitLog("shutting down")

			// More than one: the handler of the first may not be gone yet.
			testkit.Until(t, "the process has ended", func() bool {
				process.Signal(signal)
				return process.Ended()
			})

			status, ok := process.Wait().Sys().(syscall.WaitStatus)
			require.True(t, ok)
			require.True(t, status.Signaled(), "not by itself")
			require.Equal(t, signal, status.Signal())
		})
	}
}

// A load balancer needs to hear of a shutdown before it happens, so there is a time in which the process says that it
// is not ready and serves all the same.
func TestAShutdownIsAnnouncedWhileEverythingIsStillServed(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	process := testkit.NewGateway(t, testkit.OneBackend(backend.URL)+"server: {shutdown_delay: 1h}\n").Start()
	client := process.Client()

	process.Signal(syscall.SIGTERM)
	process.AwaitLog("shutting down")

	testkit.Until(t, "the process says that it is not ready", func() bool {
		return client.Get("/health/ready").Code == http.StatusServiceUnavailable
	})
	require.Equal(t, http.StatusOK, client.Get("/health/live").Code)
	id := client.Submit(`{"payload": "late"}`).CorrelationID
	testkit.Until(t, "the workers go on as well", func() bool { return client.Status(id).Status == "COMPLETED" })
	require.Equal(t, http.StatusServiceUnavailable, client.Get("/health/ready").Code, "and it stays so")
	process.Kill()
}

func TestThoseWhoWaitAreAnsweredAtAShutdown(t *testing.T) {
	t.Parallel()
	never := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.Hold(never, testkit.Echo()))
	// The delay is for a waiter whose request is still on its way.
	config := testkit.OneBackend(backend.URL) + "worker: {drain: 300ms}\nserver: {shutdown_delay: 2s}\n"
	process := testkit.NewGateway(t, config).Start()
	client := process.Client()
	id := client.Submit(`{"payload": 1}`).CorrelationID
	backend.Await(1)

	sent := make(chan struct{})
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		WroteRequest: func(httptrace.WroteRequestInfo) { close(sent) },
	})
	answered := make(chan *testkit.Answer, 1)
	go func() {
		answer, err := client.Response(ctx, id, "60s")
		if err != nil {
			t.Errorf("wait: %v", err)
		}
		answered <- answer
	}()
	<-sent

	clock := testkit.StartClock(t, client)
	process.Signal(syscall.SIGTERM)

	answer := <-answered
	require.Less(t, clock.Elapsed(), 30*time.Second, "well before the wait would be over")
	require.NotNil(t, answer)
	require.Equal(t, http.StatusAccepted, answer.Code)
	require.Equal(t, "PROCESSING", answer.Header.Get("X-Openhqm-Status"))
	require.NotEmpty(t, answer.Header.Get("Retry-After"))
	require.True(t, process.Wait().Success())
}
