package domain_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestFailureKinds(t *testing.T) {
	t.Parallel()
	tests := []struct {
		give          domain.FailureKind
		wantCharged   bool
		wantRetryable bool
	}{
		{domain.FailureUnreachable, true, true},
		{domain.FailureTimeout, true, true},
		{domain.FailureBroken, true, true},
		{domain.FailureTooLarge, true, false},
		{domain.FailureUnsendable, true, false},
		{domain.FailureRefused, false, true},
		{domain.FailureInterrupted, true, true},
	}
	for _, tt := range tests {
		require.Equal(t, tt.wantCharged, tt.give.Charged(), "%s charged", tt.give)
		require.Equal(t, tt.wantRetryable, tt.give.Retryable(), "%s retryable", tt.give)
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
