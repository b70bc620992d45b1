package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestRequestLane(t *testing.T) {
	t.Parallel()
	for priority := range 10 {
		want := domain.LaneLow
		if priority >= 5 {
			want = domain.LaneHigh
		}
		request := domain.Request{Priority: priority}
		require.Equal(t, want, request.Lane(), "priority %d", priority)
	}
}

func TestRequestSize(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give domain.Request
		want int64
	}{
		{"nothing", domain.Request{}, 0},
		{"body, path and query", domain.Request{Body: []byte("12345"), Path: "/abc", Query: "x=1"}, 12},
		{"a name for each of its values", domain.Request{Header: domain.Header{"Ab": {"1", "22", ""}}}, 9},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.give.Size())
		})
	}
}

func TestIdempotent(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]bool{
		"GET": true, "HEAD": true, "OPTIONS": true, "TRACE": true, "PUT": true, "DELETE": true,
		"POST": false, "PATCH": false, "CONNECT": false, "get": false, "": false,
	} {
		require.Equal(t, want, domain.Idempotent(method), method)
	}
}
