package domain

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	const year = 365 * 24 * time.Hour
	tests := []struct {
		name string
		give string
		want time.Duration
	}{
		{"absent", "", 0},
		{"blank", " \t", 0},
		{"seconds", "120", 2 * time.Minute},
		{"seconds with space around", " 120\t", 2 * time.Minute},
		{"leading zeros", "007", 7 * time.Second},
		{"zero", "0", 0},
		{"a year", "31536000", year},
		{"more than a year", "31536001", year},
		{"more seconds than a Duration has", "9223372037", year},
		{"more than an integer has", strings.Repeat("9", 100), year},
		{"negative", "-1", 0},
		{"with a sign", "+1", 0},
		{"a fraction", "1.5", 0},
		{"an exponent", "1e3", 0},
		{"a unit", "5s", 0},
		{"two of them", "5, 10", 0},
		{"digits of another script", "５", 0},
		{"a word", "soon", 0},
		{"NUL", "\x00", 0},
		{"a date", "Wed, 04 Mar 2026 12:00:30 GMT", 30 * time.Second},
		{"a date in the form of RFC 850", "Wednesday, 04-Mar-26 12:00:30 GMT", 30 * time.Second},
		{"a date in the form of asctime", "Wed Mar  4 12:00:30 2026", 30 * time.Second},
		{"a date that is now", "Wed, 04 Mar 2026 12:00:00 GMT", 0},
		{"a date that is past", "Wed, 04 Mar 2026 11:59:59 GMT", 0},
		{"a date far past", "Mon, 01 Jan 0001 00:00:00 GMT", 0},
		{"a date far ahead", "Fri, 31 Dec 9999 23:59:59 GMT", year},
		{"a date that does not exist", "Mon, 30 Feb 2026 12:00:00 GMT", 0},
		{"a date of RFC 3339", "2026-03-04T12:00:30Z", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, retryAfter(tt.give, noon))
		})
	}
}

func FuzzRetryAfter(f *testing.F) {
	noon := time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
	for _, seed := range []string{
		"", "0", "120", " 5 ", "-1", "+1", "1.5", "99999999999999999999", "Wed, 04 Mar 2026 12:00:30 GMT",
		"Wednesday, 04-Mar-26 12:00:30 GMT", "Wed Mar  4 12:00:30 2026", "Fri, 31 Dec 9999 23:59:59 GMT", "soon",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		got := retryAfter(value, noon)
		require.GreaterOrEqual(t, got, time.Duration(0))
		require.LessOrEqual(t, got, 365*24*time.Hour)

		date, err := http.ParseTime(strings.TrimSpace(value))
		if err == nil && got > 0 && got < 365*24*time.Hour {
			require.Equal(t, noon.Add(got), date.UTC())
		}
	})
}
