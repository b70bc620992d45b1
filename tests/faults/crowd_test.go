package faults_test

import (
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

// crowd runs f for every number below n, so many at the same time, and ends the test if any of them fails.
func crowd(t *testing.T, n, atOnce int, f func(number int) error) {
	t.Helper()
	numbers := make(chan int, n)
	for number := range n {
		numbers <- number
	}
	close(numbers)
	var group sync.WaitGroup
	for range atOnce {
		group.Go(func() {
			for number := range numbers {
				if err := f(number); err != nil {
					t.Errorf("%d: %v", number, err)
					return
				}
			}
		})
	}
	group.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// submitMany submits n requests and returns their ids.
func submitMany(t *testing.T, client *testkit.Client, n int, document func(number int) string) []string {
	t.Helper()
	ids := make([]string, n)
	crowd(t, n, 16, func(number int) error {
		receipt, err := client.TrySubmit(t.Context(), document(number), nil)
		ids[number] = receipt.CorrelationID
		return err
	})
	return ids
}

// to returns submit documents for an endpoint.
func to(endpoint string) func(int) string {
	return func(number int) string {
		return fmt.Sprintf(`{"payload": {"number": %d}, "metadata": {"endpoint": %q}}`, number, endpoint)
	}
}

// requireCompleted waits for the end of all, which must be a good one.
func requireCompleted(t *testing.T, client *testkit.Client, ids []string) {
	t.Helper()
	for _, id := range ids {
		result := client.Result(id)
		require.Equalf(t, "COMPLETED", result.Status, "%s", result.Document)
	}
}
