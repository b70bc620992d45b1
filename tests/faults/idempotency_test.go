package faults_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestAThousandSubmitsWithOneKeyAreOneRequest(t *testing.T) {
	t.Parallel()
	const submits = 1000
	backend := testkit.NewBackend(t, testkit.Echo())
	client := testkit.NewGateway(t, testkit.OneBackend(backend.URL)).Start().Client()
	key := http.Header{"Idempotency-Key": {"order-4711"}}
	answers := make([]*testkit.Answer, submits)

	crowd(t, submits, submits, func(number int) (err error) {
		answers[number], err = client.TryPost(t.Context(), `{"payload": {"order":  4711}}`, key)
		return err
	})

	first := answers[0].Receipt(t)
	id := first.CorrelationID
	for _, answer := range answers {
		answer.Receipt(t).RequireRepeat(t, first)
		require.Equal(t, "/api/v1/status/"+id, answer.Header.Get("Location"))
	}
	result := client.Result(id)
	require.Equal(t, "COMPLETED", result.Status)
	final := client.Post(`{"payload": {"order":  4711}}`, key).Receipt(t)
	final.RequireRepeat(t, first)
	require.Equal(t, "COMPLETED", final.Status)
	require.Equal(t, testkit.Depth{}, client.Depth())
	require.Len(t, backend.Calls(), 1)
	for _, other := range []string{
		`{"payload": {"order": 4712}}`,
		`{"payload": {"order":  4711}, "metadata": {"path": "/b"}}`,
	} {
		require.Equal(t, "IDEMPOTENCY_MISMATCH",
			client.Post(other, key).Problem(t, http.StatusUnprocessableEntity).Code)
	}
	require.Len(t, backend.Calls(), 1)
}

func TestAKeyIsFreeAgainWhenItsRequestFailedOrWasCancelled(t *testing.T) {
	t.Parallel()
	backend := testkit.NewBackend(t, testkit.Echo())
	refusing := testkit.NewBackend(t, testkit.Refuse(http.StatusInternalServerError))
	config := "proxy: {endpoints: {refuses: {url: '" + refusing.URL + "'}, works: {url: '" + backend.URL + "'}}}\n"
	client := testkit.NewGateway(t, config).Start().Client()
	tests := []struct {
		name, document, want string
		end                  func(ctx context.Context, id string) error
	}{
		{
			name: "failed", want: "FAILED",
			document: `{"payload": 1, "metadata": {"endpoint": "refuses", "max_attempts": 1}}`,
			end: func(ctx context.Context, id string) error {
				_, err := client.TryResult(ctx, id)
				return err
			},
		},
		{
			name: "cancelled", want: "CANCELLED",
			document: `{"payload": 1, "metadata": {"endpoint": "works", "delay": "1h"}}`,
			end: func(ctx context.Context, id string) error {
				_, err := client.Cancel(ctx, id)
				return err
			},
		},
	}
	for _, tt := range tests {
		key := http.Header{"Idempotency-Key": {tt.name}}
		first, err := client.TrySubmit(t.Context(), tt.document, key)
		require.NoError(t, err)
		require.NoError(t, tt.end(t.Context(), first.CorrelationID))
		require.Equal(t, tt.want, client.Status(first.CorrelationID).Status)

		second, err := client.TrySubmit(t.Context(), to("works")(2), key) // another fingerprint
		require.NoError(t, err)
		require.NotEqual(t, first.CorrelationID, second.CorrelationID)
		requireCompleted(t, client, []string{second.CorrelationID})
	}
}
