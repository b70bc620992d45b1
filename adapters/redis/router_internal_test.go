package redis

import (
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
)

func TestForeignMessages(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name         string
		payload      any
		defaultTo    string
		wantID       domain.ID
		wantEndpoint string
		wantErr      string
	}{
		{"with id and endpoint", `{"correlation_id":"mine","metadata":{"endpoint":"a"},"payload":1}`, "b", "mine", "a", ""},
		{"without id", `{"metadata":{"endpoint":"a"}}`, "", "stream-1767323045000-7", "a", ""},
		{"without endpoint", `{"correlation_id":"mine"}`, "b", "mine", "b", ""},
		{"without any endpoint", `{"correlation_id":"mine"}`, "", "mine", "", "no endpoint"},
		{
			"with another name than there are",
			`{"correlation_id":"mine","metadata":{"endpoint":"a/b"}}`, "b", "mine", "", "names an endpoint",
		},
		{
			"with a name that is too long, and a reference",
			`{"correlation_id":"mine","body_ref":"x","metadata":{"endpoint":"` + strings.Repeat("a", 65) + `"}}`,
			"b", "mine", "", "names an endpoint",
		},
		{
			"with the longest name",
			`{"correlation_id":"mine","metadata":{"endpoint":"` + strings.Repeat("Z", 60) + `.0_-"}}`,
			"b", "mine", strings.Repeat("Z", 60) + ".0_-", "",
		},
		{"with a reference", `{"correlation_id":"mine","body_ref":"x"}`, "b", "mine", "b", "body_ref"},
		{"not JSON", `oops`, "b", "stream-1767323045000-7", "", "JSON"},
		{"too long", `{"payload":"` + string(make([]byte, 2000)) + `"}`, "b", "stream-1767323045000-7", "", "longer"},
		{"no payload", nil, "b", "stream-1767323045000-7", "", "payload"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := router{messages: envelope.Reader{MaxAge: time.Hour, MaxSize: 1000, DefaultEndpoint: tt.defaultTo}}
			entry := redis.XMessage{ID: "1767323045000-7", Values: map[string]any{}}
			if tt.payload != nil {
				entry.Values["payload"] = tt.payload
			}
			m, err := r.decode(&entry)
			req := m.Request
			if tt.wantErr != "" {
				require.ErrorContains(t, err, tt.wantErr)
			} else {
				require.NoError(t, err)
			}
			require.Equal(t, tt.wantID, req.ID)
			require.Equal(t, tt.wantEndpoint, req.Endpoint)
			require.Equal(t, time.UnixMilli(1767323045000).UTC(), req.SubmittedAt)
			require.Equal(t, req.SubmittedAt.Add(time.Hour), req.Deadline)
		})
	}
}
