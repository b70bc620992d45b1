package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestResponseSize(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give domain.Response
		want int64
	}{
		{"nothing", domain.Response{StatusCode: 204}, 0},
		{"a body", domain.Response{Body: []byte("12345")}, 5},
		{"a name for each of its values", domain.Response{Header: domain.Header{"Ab": {"1", "22", ""}}}, 9},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			require.Equal(t, tt.want, tt.give.Size())
		})
	}
}
