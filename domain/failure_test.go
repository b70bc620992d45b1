package domain_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestFailuresThatAnotherAttemptMightMend(t *testing.T) {
	t.Parallel()
	tests := []struct {
		give domain.FailureKind
		want bool
	}{
		{domain.FailureUnreachable, true},
		{domain.FailureTimeout, true},
		{domain.FailureBroken, true},
		{domain.FailureTooLarge, false},
		{domain.FailureUnsendable, false},
		{domain.FailureInterrupted, true},
		{domain.FailureShortage, true},
	}
	for _, tt := range tests {
		require.Equal(t, tt.want, tt.give.Retryable(), tt.give)
		require.Equal(t, tt.give != domain.FailureShortage, tt.give.Charged(), tt.give)
	}
}

func TestFailureIsAnErrorWithItsCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("connection refused")
	failure := &domain.Failure{Kind: domain.FailureUnreachable, Err: cause}
	require.EqualError(t, failure, "unreachable: connection refused")
	require.ErrorIs(t, failure, cause)
}

func TestInvalidNamesItsField(t *testing.T) {
	t.Parallel()
	require.EqualError(t, &domain.Invalid{Field: "metadata.path", Reason: `must begin with "/"`},
		`metadata.path: must begin with "/"`)
}
