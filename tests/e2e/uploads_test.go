package e2e_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestManyUploadsAtOnceComeBackAsTheyWere(t *testing.T) {
	t.Parallel()
	inOneProcess(t, manyUploads)
}

func manyUploads(t *testing.T, install processInstaller) {
	t.Helper()
	backend := testkit.NewBackend(t, testkit.Echo())
	client := install(t, testkit.OneBackend(backend.URL)).Start().Client()
	uploads, ctx := errgroup.WithContext(t.Context())
	for i := range 50 {
		uploads.Go(func() error { return upload(ctx, client, byte(i), 1<<20) })
	}
	require.NoError(t, uploads.Wait())
}

// upload sends so many bytes through the gateway to a backend that sends them back, and compares.
func upload(ctx context.Context, client *testkit.Client, seed byte, size int) error {
	body := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(body) // it never fails
	octets := http.Header{"Content-Type": {"application/octet-stream"}}
	accepted, err := client.Call(ctx, http.MethodPut, fmt.Sprintf("/proxy/backend/%d", seed), octets, body)
	if err != nil {
		return err
	}
	if accepted.Code != http.StatusAccepted {
		return fmt.Errorf("upload %d is answered %d: %s", seed, accepted.Code, accepted.Body)
	}
	raw, err := client.Call(
		ctx, http.MethodGet, "/api/v1/response/"+accepted.Header.Get("X-Correlation-Id")+"/raw?wait=60s", nil, nil,
	)
	if err != nil {
		return err
	}
	if raw.Code != http.StatusOK || sha256.Sum256(raw.Body) != sha256.Sum256(body) {
		return fmt.Errorf("upload %d comes back as %d with %d other bytes", seed, raw.Code, len(raw.Body))
	}
	return nil
}
