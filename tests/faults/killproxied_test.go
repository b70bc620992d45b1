package faults_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/tests/testkit"
)

// uploads are clients that send random bodies through the proxy path, and remember what was answered 202.
type uploads struct {
	gateway *testkit.Gateway
	end     context.CancelFunc // no further one is begun
	group   errgroup.Group

	mu       sync.Mutex
	sums     map[string][sha256.Size]byte // of what was accepted, by id
	accepted chan struct{}                // one each, as long as there is room
}

// largestUpload makes some bodies larger than what may lie in a queue (256 KiB), and some empty.
const largestUpload = 512 << 10

func startUploads(t *testing.T, gateway *testkit.Gateway) *uploads {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	u := &uploads{
		gateway: gateway, end: end, sums: make(map[string][sha256.Size]byte), accepted: make(chan struct{}, 1<<16),
	}
	t.Cleanup(func() {
		end()
		_ = u.group.Wait()
	})
	for range clients {
		u.group.Go(func() error {
			for ctx.Err() == nil {
				if err := u.send(t.Context()); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return u
}

// send sends one body. What is not answered may have been accepted or not; a refusal is an error.
func (u *uploads) send(ctx context.Context) error {
	process, err := u.gateway.Serving(ctx)
	if err != nil {
		return err
	}
	body := make([]byte, rand.N(largestUpload))
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(rand.Uint32())
	}
	_, _ = rand.NewChaCha8(seed).Read(body) // it never fails
	answer, err := process.Client().Call(ctx, http.MethodPut, "/proxy/backend/files", nil, body)
	switch {
	case err != nil:
		if !pause(ctx) {
			return ctx.Err()
		}
		return nil
	case answer.Code != http.StatusAccepted:
		return fmt.Errorf("answered %d: %.300s", answer.Code, answer.Body)
	}
	u.mu.Lock()
	u.sums[answer.Header.Get("X-Correlation-Id")] = sha256.Sum256(body)
	u.mu.Unlock()
	select {
	case u.accepted <- struct{}{}:
		return nil
	default:
		return errors.New("nobody waits any more")
	}
}

// await waits until n more bodies have been accepted.
func (u *uploads) await(t *testing.T, n int) {
	t.Helper()
	var accepted atomic.Int64
	ctx, cancel := testkit.WhileMoving(t, accepted.Load)
	defer cancel()
	for range n {
		select {
		case <-u.accepted:
			accepted.Add(1)
		case <-ctx.Done():
			require.FailNow(t, "nothing is accepted any more")
		}
	}
}

// stop lets every client end, and returns the sums of all that was accepted.
func (u *uploads) stop(t *testing.T) map[string][sha256.Size]byte {
	t.Helper()
	u.end()
	require.NoError(t, u.group.Wait())
	return u.sums
}

// The backend answers nothing before the last kill: whatever was accepted until then has to survive it.
func TestBodiesThatWereAcceptedArriveAsTheyWereHoweverOftenTheProcessIsKilled(t *testing.T) {
	t.Parallel()
	const kills, between = 3, 40
	release := make(chan struct{})
	backend := testkit.NewBackend(t, testkit.Hold(release, testkit.Echo()))
	gateway := testkit.NewGateway(t, loadConfig(backend))
	process := gateway.Start()
	sent := startUploads(t, gateway)

	for range kills {
		sent.await(t, between+rand.N(between))
		process.Kill()
		process = gateway.Start()
	}
	sums := sent.stop(t)
	close(release)

	client := process.Client()
	require.GreaterOrEqual(t, len(sums), kills*between)
	for id, sum := range sums {
		raw, err := client.Call(t.Context(), http.MethodGet, "/api/v1/response/"+id+"/raw?wait=60s", nil, nil)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, raw.Code, id)
		require.Equal(t, sum, sha256.Sum256(raw.Body), id)
	}
	requireArrived(t, backend, sums)
	t.Logf("%d bodies, %d calls", len(sums), len(backend.Calls()))
}

// requireArrived compares what the backend was sent with what was accepted. It may have been sent more: what was not
// answered may run.
func requireArrived(t *testing.T, backend *testkit.Backend, sums map[string][sha256.Size]byte) {
	t.Helper()
	arrived := make(map[string]bool)
	for _, call := range backend.Calls() {
		if sum, known := sums[call.ID]; known {
			require.Equal(t, sum, sha256.Sum256(call.Body), "%s, attempt %d", call.ID, call.Attempt)
			arrived[call.ID] = true
		}
	}
	require.Len(t, arrived, len(sums))
}
