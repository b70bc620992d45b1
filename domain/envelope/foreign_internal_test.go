package envelope

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestForeignTimesAreBounded(t *testing.T) {
	t.Parallel()
	arrived := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	const maxAge = 10 * time.Hour
	for _, tt := range []struct {
		name                string
		submitted, deadline time.Time
		wantSubmitted       time.Time
		wantDeadline        time.Time
	}{
		{"no deadline", arrived.Add(-time.Hour), time.Time{}, arrived.Add(-time.Hour), arrived.Add(9 * time.Hour)},
		{"its own deadline", arrived, arrived.Add(time.Hour), arrived, arrived.Add(time.Hour)},
		{"a deadline too far", arrived, arrived.Add(11 * time.Hour), arrived, arrived.Add(maxAge)},
		{"from the future", arrived.Add(time.Second), time.Time{}, arrived, arrived.Add(maxAge)},
		{"from long ago", arrived.Add(-11 * time.Hour), arrived.Add(-10 * time.Hour), arrived, arrived.Add(time.Hour)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := Reader{MaxAge: maxAge}
			req := domain.Request{SubmittedAt: tt.submitted, Deadline: tt.deadline}
			r.boundTimes(&req, arrived)
			require.Equal(t, tt.wantSubmitted, req.SubmittedAt)
			require.Equal(t, tt.wantDeadline, req.Deadline)
		})
	}
}

func TestReadResultDoesWhatDecodingLeavesToItsCaller(t *testing.T) {
	t.Parallel()
	const limit = 1 << 10
	for _, tt := range []struct {
		give       string
		wantReason domain.Reason
		wantErr    string
	}{
		{`{"correlation_id":"x","status":"COMPLETED"}`, "", ""},
		{`{"correlation_id":"x","status":"CANCELLED"}`, "", ""},
		{`{"correlation_id":"x","status":"FAILED"}`, domain.ReasonRejected, ""},
		{`{"correlation_id":"x","status":"TIMEOUT"}`, domain.ReasonDeadline, ""},
		{`{"correlation_id":"no id","status":"COMPLETED"}`, "", "result: the result names no request"},
		{`{"correlation_id":"x","status":"COMPLETED","result_url":"https://a/"}`, "", "result: result_url cannot be used"},
		{`oops`, "", "result: message: is not valid JSON"},
	} {
		t.Run(tt.give, func(t *testing.T) {
			t.Parallel()
			got, err := ReadResult([]byte(tt.give), time.Unix(1, 0), limit)
			if tt.wantErr != "" {
				require.ErrorContains(t, err, tt.wantErr)
				require.Zero(t, got)
				return
			}
			require.NoError(t, err)
			require.Equal(t, domain.ID("x"), got.ID)
			require.Equal(t, tt.wantReason, got.Result.Reason)
		})
	}
}
