package e2e_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestAThousandRequestsAtOnceAllGetTheirOwnAnswer(t *testing.T) {
	t.Parallel()
	inOneProcess(t, aThousandAtOnce)
}

func aThousandAtOnce(t *testing.T, install processInstaller) {
	t.Helper()
	const requests = 1000
	backend := testkit.NewBackend(t, testkit.Echo())
	client := install(t, testkit.OneBackend(backend.URL)).Start().Client()
	ctx, cancel := testkit.WhileMoving(t, client.Bytes)
	defer cancel()

	errs := make([]error, requests)
	var group sync.WaitGroup
	for i := range requests {
		group.Go(func() { errs[i] = roundTrip(ctx, client, fmt.Sprintf(`{"number": %d}`, i)) })
	}
	group.Wait()

	for i, err := range errs {
		require.NoErrorf(t, err, "request %d", i)
	}
	require.Len(t, backend.Calls(), requests, "each is called once")
	require.Equal(t, testkit.Depth{}, client.Depth())
}

// roundTrip submits a payload and waits for the answer that belongs to it.
func roundTrip(ctx context.Context, client *testkit.Client, payload string) error {
	receipt, err := client.TrySubmit(ctx, `{"payload": `+payload+`}`, nil)
	if err != nil {
		return fmt.Errorf("submit: %w", err)
	}
	result, err := client.TryResult(ctx, receipt.CorrelationID)
	if err != nil {
		return fmt.Errorf("wait for %s: %w", receipt.CorrelationID, err)
	}
	if result.Status != "COMPLETED" || string(result.Result) != payload {
		return fmt.Errorf("%s: got %s %s in place of %s", receipt.CorrelationID, result.Status, result.Result, payload)
	}
	return nil
}
