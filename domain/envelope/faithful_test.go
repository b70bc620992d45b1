package envelope_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
)

// TestFaithfulReportsWhatComesBackUnchanged holds Faithful to what Append and Decode do.
func TestFaithfulReportsWhatComesBackUnchanged(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give func(*domain.Request)
		want bool
	}{
		{"nothing special", func(*domain.Request) {}, true},
		{"body that is no text", func(r *domain.Request) { r.Body = []byte("\x00\xff") }, true},
		{"no body", func(r *domain.Request) { r.Body = nil }, true},
		{"empty body", func(r *domain.Request) { r.Body = []byte{} }, true},
		{"repeated field", func(r *domain.Request) { r.Header = domain.Header{"X-A": {"2", "", "1"}} }, true},
		{"path beyond ASCII", func(r *domain.Request) { r.Path = "/a%2Fb/ü;p=1//" }, true},
		{"label without a name", func(r *domain.Request) { r.Labels = map[string]string{"": "ä"} }, true},
		{"field that is not UTF-8", func(r *domain.Request) { r.Header = domain.Header{"X-A": {"caf\xe9"}} }, false},
		{"field without a value", func(r *domain.Request) { r.Header = domain.Header{"X-A": {}} }, false},
		{"field with a line break", func(r *domain.Request) { r.Header = domain.Header{"X-A": {"a\nb"}} }, false},
		{"name that is none", func(r *domain.Request) { r.Header = domain.Header{"X A": {"1"}} }, false},
		{"path that is not UTF-8", func(r *domain.Request) { r.Path = "/\xff" }, false},
		{"query that is not UTF-8", func(r *domain.Request) { r.Query = "q=\xff" }, false},
		{"label that is not UTF-8", func(r *domain.Request) { r.Labels = map[string]string{"a": "\xff"} }, false},
		{"moment between milliseconds", func(r *domain.Request) { r.NotBefore = r.SubmittedAt.Add(1) }, false},
		{"id that is none", func(r *domain.Request) { r.ID = "a b" }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
			want := domain.Request{
				ID: "a", Endpoint: "orders", Header: domain.Header{}, Body: []byte("{}"),
				SubmittedAt: now, Deadline: now.Add(time.Hour),
			}
			tt.give(&want)
			require.Equal(t, tt.want, envelope.Faithful(&want))

			message := envelope.Append(nil, &envelope.Message{Request: want})
			got, err := envelope.Decode(message, now, len(message))
			require.Equal(t, tt.want, err == nil && equal(want, got.Request))
		})
	}
}

// equal compares requests; it does not tell an empty header from none.
func equal(a, b domain.Request) bool {
	if len(a.Header) == 0 {
		a.Header = b.Header
	}
	return reflect.DeepEqual(a, b)
}
