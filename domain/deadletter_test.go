package domain_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestDeadLetterResend(t *testing.T) {
	t.Parallel()
	const maxAge = 72 * time.Hour
	submitted := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	now := submitted.Add(24 * time.Hour)
	for _, tt := range []struct {
		name string
		give time.Duration // the original's time from submission to deadline
		want time.Duration
	}{
		{"as long to live as the original", 5 * time.Minute, 5 * time.Minute},
		{"up to the longest there may be", maxAge, maxAge},
		{"no longer than that, which may have been longer once", maxAge + time.Hour, maxAge},
		{"the longest where the original tells nothing", 0, maxAge},
		{"or nonsense", -time.Hour, maxAge},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			original := domain.Request{
				ID: "old", ResentFrom: "older", Endpoint: "orders", Method: "PUT", Path: "/a", Query: "b=c",
				Header: domain.Header{"X-One": {"1", "2"}}, Body: []byte("body"), Owner: "shop", Priority: 7,
				Labels: map[string]string{"k": "v"}, SubmittedAt: submitted, NotBefore: submitted.Add(time.Minute),
				Deadline: submitted.Add(tt.give), MaxAttempts: 3,
				Idempotency: &domain.Idempotency{Key: "key"},
			}
			want := original
			want.ID, want.ResentFrom, want.SubmittedAt, want.Deadline = "new", "old", now, now.Add(tt.want)
			want.NotBefore, want.Idempotency = time.Time{}, nil

			letter := domain.DeadLetter{ID: "old", Request: &original}
			require.Equal(t, want, letter.Resend("new", now, maxAge))
			require.Equal(t, domain.ID("old"), original.ID, "the original stays as it is")
			require.NotNil(t, original.Idempotency)
		})
	}
}

func TestReasonsAreDifferentWords(t *testing.T) {
	t.Parallel()
	seen := make(map[domain.Reason]bool)
	for _, reason := range domain.Reasons() {
		require.Regexp(t, `^[a-z]+(_[a-z]+)*$`, string(reason))
		require.False(t, seen[reason], reason)
		seen[reason] = true
	}
	require.Len(t, seen, 9)
}
