package faults_test

import (
	"net"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestAHangupInterruptsNothing(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.Hold(release, testkit.Echo()))
	gateway := testkit.NewGateway(t, testkit.OneBackend(backend.URL))
	process := gateway.Start()
	id := process.Client().Submit(`{"payload": 1}`).CorrelationID
	backend.Await(1)

	process.Signal(syscall.SIGHUP)
	process.AwaitLog("SIGHUP: read the configuration again")
	close(release)
	result := process.Client().Result(id)
	require.Equal(t, "COMPLETED", result.Status)
	require.Len(t, backend.CallsOf(id), 1)
}

func TestAStartThatWaitsEndsWhenItIsStopped(t *testing.T) {
	t.Parallel()
	starts := map[string]func(address string) []string{
		"redis": func(string) []string { return []string{"OPENHQM_QUEUE_TYPE=redis"} },
	}
	for _, carrier := range testkit.Carriers() {
		starts[carrier.Name] = func(address string) []string { return carrier.Variables(address, "requests") }
	}
	for queue, variables := range starts {
		t.Run(queue, func(t *testing.T) {
			t.Parallel()
			silent := newSilent(t)
			gateway := testkit.NewGateway(t, "",
				append(variables(silent.address), "OPENHQM_REDIS_URL=redis://"+silent.address)...)
			process := gateway.Launch()
			<-silent.met

			process.Signal(syscall.SIGTERM)
			stopped := time.Now()
			state := process.Wait()
			require.Zero(t, state.ExitCode(), process.Log.Text())
			require.Less(t, time.Since(stopped), 5*time.Second, "a second, and some for a machine that is busy")
			process.AwaitLog("shut down before the start was complete")
		})
	}
}

// silent is a server that accepts connections and says nothing.
type silent struct {
	address string
	met     chan struct{} // closed at the first connection
}

func newSilent(t *testing.T) *silent {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &silent{address: listener.Addr().String(), met: make(chan struct{})}
	done := make(chan struct{})
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		<-done
	})
	go func() {
		defer close(done)
		for met := false; ; met = true {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = connection.Close() })
			if !met {
				close(s.met)
			}
		}
	}()
	return s
}
