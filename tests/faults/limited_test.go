package faults_test

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// limitedMemory is what small containers have, in bytes. Everything must work there with the default configuration, if
// slower. A process that needs more is killed, which fails its test.
const limitedMemory = 256 << 20

// newLimitedGateway makes an installation whose processes have little memory.
func newLimitedGateway(t *testing.T, config string) *testkit.Gateway {
	t.Helper()
	gateway := testkit.NewPlainGateway(t, config)
	gateway.LimitMemory(limitedMemory)
	return gateway
}

// programMemory is what the file of the program has resident, in bytes. The kernel counts it elsewhere.
const programMemory = 32 << 20

// requireLimited checks the peak, for where nothing is killed.
func requireLimited(t *testing.T, process *testkit.Process) {
	t.Helper()
	peak := process.PeakMemory()
	t.Logf("at most %d MiB were resident", peak>>20)
	require.Less(t, peak, int64(limitedMemory+programMemory))
}

func TestLargeResponsesFitIntoLittleMemory(t *testing.T) {
	t.Parallel()
	const requests, size = 128, 9_000_000
	answer := bytes.Repeat([]byte("0123456789"), size/10)
	large := func(w http.ResponseWriter, _ *http.Request, _ *testkit.Call) {
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Set("Content-Length", strconv.Itoa(size))
		_, _ = w.Write(answer)
	}
	backend := testkit.NewBackend(t, testkit.Delay(time.Second, large))
	process := newLimitedGateway(t, testkit.OneBackend(backend.URL)).Start()
	client := process.Client()

	ids := submitMany(t, client, requests, func(int) string { return `{"payload": 1}` })

	for _, id := range ids {
		ctx, cancel := testkit.Patiently(t)
		document := string(finalDocument(ctx, t, client, id))
		cancel()
		require.Contains(t, document[:500], `"COMPLETED"`)
		require.Greater(t, len(document), size)
	}
	require.Len(t, backend.Calls(), requests)
	requireLimited(t, process)
}

func TestLargeUploadsFitIntoLittleMemory(t *testing.T) {
	t.Parallel()
	const clients = 64
	backend := testkit.NewBackend(t, testkit.Respond(http.StatusOK, "application/json", "1"))
	process := newLimitedGateway(t, testkit.OneBackend(backend.URL)).Start()
	client := process.Client()
	document := fmt.Sprintf(`{"payload": "%s"}`, strings.Repeat("x", 4<<20))
	var accepted atomic.Int64

	crowd(t, clients, clients, func(int) error {
		answer, err := client.TryPost(t.Context(), document, nil)
		switch {
		case err != nil:
			return err
		case answer.Code == http.StatusAccepted:
			accepted.Add(1)
		case answer.Code != http.StatusServiceUnavailable:
			return fmt.Errorf("answered %d: %.300s", answer.Code, answer.Body)
		}
		return nil
	})

	t.Logf("%d of %d were accepted", accepted.Load(), clients)
	require.Positive(t, accepted.Load())
	testkit.Until(t, "all that were accepted are done", func() bool { return client.Depth() == testkit.Depth{} })
	require.Len(t, backend.Calls(), int(accepted.Load()))
	requireLimited(t, process)
}

func TestTheLargestBodiesFitIntoLittleMemoryBothWays(t *testing.T) {
	t.Parallel()
	const requests = 16
	backend := newLargeBackend(t, largeText.compare)
	close(backend.release)
	config := testkit.OneBackend(backend.URL) + "server: {read_timeout: 1h}\n" // for room: the last comes when all fit
	process := newLimitedGateway(t, config).Start()
	client := process.Client()
	ids := make([]string, requests)
	ctx, cancel := testkit.WhileMoving(t, testkit.Moves(t).Load)
	defer cancel()

	crowd(t, requests, requests, func(number int) (err error) {
		ids[number], err = submitLarge(ctx, t, client.Address, number)
		return err
	})

	requireLarge(t, client, ids)
	requireLimited(t, process)
}

// idleMemory is what an idle process may have resident after a burst, in bytes: the caches of the database, and half as
// much again.
const idleMemory = 192 << 20

func TestAnIdleProcessReturnsTheMemoryOfItsLastBurst(t *testing.T) {
	t.Parallel()
	const clients, requests = 8, 400
	backend := testkit.NewBackend(t, testkit.Respond(http.StatusOK, "application/json", "1"))
	process := testkit.NewPlainGateway(t, testkit.OneBackend(backend.URL)).Start()
	client := process.Client()
	document := fmt.Sprintf(`{"payload": "%s"}`, strings.Repeat("x", 1<<20))
	crowd(t, requests, clients, func(int) error {
		_, err := client.TrySubmit(t.Context(), document, nil)
		return err
	})
	require.Greater(t, process.PeakMemory(), int64(idleMemory), "there is something to return")

	testkit.Until(t, "all are done", func() bool { return client.Depth() == testkit.Depth{} })
	testkit.Until(t, "memory is returned", func() bool { return process.Memory() < idleMemory })
}

func TestAConfigurationThatCannotWorkWithTheMemoryFailsTheStart(t *testing.T) {
	t.Parallel()
	gateway := testkit.NewGateway(t, "server: {max_body_size: 64MiB}\nworker: {max_bytes: 128MiB}\n")
	gateway.LimitMemory(limitedMemory)
	output := gateway.Run()
	require.Equal(t, 2, output.Code)
	require.Contains(t, output.Stderr, "server.max_body_size: must be at most")
	require.Contains(t, output.Stderr, "memory limit of 256MiB")
}
