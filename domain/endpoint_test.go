package domain_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestEndpointMethodFor(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name       string
		configured string
		requested  string
		want       string
	}{
		{"the request's goes first", "PUT", "GET", "GET"},
		{"then the endpoint's", "PUT", "", "PUT"},
		{"then POST", "", "", "POST"},
		{"case is kept (RFC 9110 section 9.1)", "", "get", "get"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			endpoint := domain.Endpoint{Method: tt.configured}
			require.Equal(t, tt.want, endpoint.MethodFor(tt.requested))
		})
	}
}
