package application_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestSubmitTimes(t *testing.T) {
	t.Parallel()
	const maxAge = 72 * time.Hour
	tests := []struct {
		name          string
		give          ports.Submission
		wantDeadline  time.Duration // from noon
		wantNotBefore time.Duration // from noon; 0: at once
	}{
		{"nothing said", ports.Submission{}, maxAge, 0},
		{"a timeout", ports.Submission{Timeout: time.Minute}, time.Minute, 0},
		{"the longest timeout", ports.Submission{Timeout: maxAge}, maxAge, 0},
		{"a delay", ports.Submission{Delay: time.Hour}, maxAge, time.Hour},
		{
			"a delay just within the timeout",
			ports.Submission{Timeout: time.Minute, Delay: time.Minute - 1},
			time.Minute, time.Minute - 1,
		},
		{"a moment", ports.Submission{NotBefore: noon.Add(time.Hour)}, maxAge, time.Hour},
		{
			"a moment in another zone",
			ports.Submission{NotBefore: noon.Add(time.Hour).In(time.FixedZone("", -7200))},
			maxAge, time.Hour,
		},
		{
			"a moment just within the timeout",
			ports.Submission{Timeout: time.Minute, NotBefore: noon.Add(time.Minute - 1)},
			time.Minute, time.Minute - 1,
		},
		{"a moment that is now", ports.Submission{NotBefore: noon}, maxAge, 0},
		{"a moment that is past", ports.Submission{NotBefore: noon.Add(-time.Hour)}, maxAge, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.give.Endpoint, tt.give.Body = "orders", []byte("{}")
			got := accept(t, submitOptions(), tt.give)
			require.Equal(t, noon, got.SubmittedAt)
			require.Equal(t, noon.Add(tt.wantDeadline), got.Deadline)
			if tt.wantNotBefore == 0 {
				require.Zero(t, got.NotBefore)
				return
			}
			require.Equal(t, noon.Add(tt.wantNotBefore), got.NotBefore)
		})
	}
}

func TestSubmitRefusesTimesByField(t *testing.T) {
	t.Parallel()
	const (
		tooLong = "metadata.timeout: must be at most 72h0m0s (request.max_age)"
		delay   = "metadata.delay: must be before the deadline (timeout, or request.max_age)"
		moment  = "metadata.not_before: must be before the deadline (timeout, or request.max_age)"
	)
	tests := []struct {
		name string
		give ports.Submission
		want string
	}{
		{"a timeout over the greatest age", ports.Submission{Timeout: 72*time.Hour + 1}, tooLong},
		{"the longest there is", ports.Submission{Timeout: 1<<63 - 1}, tooLong},
		{"a delay as long as the timeout", ports.Submission{Timeout: time.Hour, Delay: time.Hour}, delay},
		{"a delay over the timeout", ports.Submission{Timeout: time.Hour, Delay: 2 * time.Hour}, delay},
		{"a delay over the greatest age", ports.Submission{Delay: 73 * time.Hour}, delay},
		{"the longest delay there is", ports.Submission{Delay: 1<<63 - 1}, delay},
		{"a moment at the deadline", ports.Submission{Timeout: time.Hour, NotBefore: noon.Add(time.Hour)}, moment},
		{"a moment after it", ports.Submission{NotBefore: noon.AddDate(1, 0, 0)}, moment},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.give.Endpoint, tt.give.Body = "orders", []byte("{}")
			err := refuse(t, submitOptions(), tt.give)
			require.ErrorAs(t, err, new(*domain.Invalid))
			require.EqualError(t, err, tt.want)
		})
	}
}
