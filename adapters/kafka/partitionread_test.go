package kafka

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAMessageArrivesWhenItCan(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC)
	tests := []struct {
		name string
		give time.Time
		want time.Time
	}{
		{"now", now, now},
		{"a while ago", now.Add(-90 * time.Hour), now.Add(-90 * time.Hour)},
		{"longer ago than any deadline", now.AddDate(-1, 0, 0), now.AddDate(-1, 0, 0)},
		{"a clock is ahead", now.Add(time.Minute), now},
		{"in seconds", time.UnixMilli(now.Unix()), now},
		{"in microseconds", time.UnixMilli(now.UnixMicro()), now},
		{"in nanoseconds", time.UnixMilli(now.UnixNano()), now},
		{"no time", time.UnixMilli(-1), now},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, arrival(tt.give, now))
		})
	}
}
