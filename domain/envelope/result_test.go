package envelope_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/tests/testkit"
)

func TestDecodeResultRefuses(t *testing.T) {
	t.Parallel()
	const status = "status: must be COMPLETED, FAILED, TIMEOUT or CANCELLED"
	completed := func(members string) string { return `{"status":"COMPLETED",` + members + `}` }
	tests := []struct{ give, want string }{
		{`[]`, "message: must be a JSON object"},
		{`{"status":"COMPLETED"`, "message: is not valid JSON in UTF-8"},
		{`{}`, status},
		{`{"status":"PENDING"}`, status},
		{`{"status":"completed"}`, status},
		{`{"status":1}`, "status: must be a string"},
		{`{"status":"FAILED","result":1}`, "status_code: is needed with a result, unless it is COMPLETED"},
		{`{"status":"FAILED","result_url":"x"}`, "status_code: is needed with a result, unless it is COMPLETED"},
		{completed(`"status_code":99`), "status_code: must be an integer from 100 to 999"},
		{completed(`"status_code":"200"`), "status_code: must be an integer from 100 to 999"},
		{completed(`"result":1,"result":1`), "result: appears twice"},
		{completed(`"result":1,"result_url":"x"`), "message: has both result and result_url"},
		{completed(`"result":1,"result_encoding":"base64"`), "result: must be a string"},
		{completed(`"result":null,"result_encoding":"base64"`), "result: must be a string"},
		{completed(`"result":"A","result_encoding":"base64"`), "result: is not base64 with padding (RFC 4648 section 4)"},
		{completed(`"result":1,"result_encoding":"text"`), "result: must be a string"},
		{completed(`"result":1,"result_encoding":"gzip"`), "result: has an encoding that is neither base64 nor text"},
		{completed(`"result_encoding":7`), "result_encoding: must be a string"},
		{completed(`"headers":{"A":"\n"}`), "headers: A " + notFieldValue},
		{completed(`"headers":[]`), "headers: must be a JSON object"},
		{
			completed(`"result":1,"headers":{` + entries(1000, `""`) + `}`),
			"result: has more than 1000 fields or 65536 bytes",
		},
		{completed(`"error":{}`), "error: must be a string"},
		{completed(`"processing_time_ms":-1`), "processing_time_ms: must be a number of milliseconds, not negative"},
		{completed(`"processing_time_ms":"1"`), "processing_time_ms: must be a number of milliseconds, not negative"},
		{completed(`"processing_time_ms":1e15`), "processing_time_ms: must be a number of milliseconds, not negative"},
		{completed(`"timestamp":"now"`), "timestamp: must be an RFC 3339 time"},
	}
	for _, tt := range tests {
		t.Run(tt.give, func(t *testing.T) {
			t.Parallel()
			got, err := envelope.DecodeResult([]byte(tt.give), arrived, limit)
			require.EqualError(t, err, tt.want)
			invalid := new(domain.Invalid)
			require.ErrorAs(t, err, &invalid)
			require.Zero(t, got)
		})
	}
	_, err := envelope.DecodeResult([]byte(`{}`), arrived, 1)
	require.EqualError(t, err, "message: is longer than 1 bytes")
}

func TestDecodeResultBodies(t *testing.T) {
	t.Parallel()
	const headers = `"headers":{"Content-Type":"application/json"},`
	tests := []struct{ name, give, want, wantType string }{
		{"none", `"error":null`, "", ""},
		{"null", `"result":null`, "", ""},
		{"null that is JSON", headers + `"result":null`, "null", "application/json"},
		{"text", `"result":"a\n"`, "a\n", ""},
		{"a JSON string", headers + `"result":"a\n"`, `"a\n"`, "application/json"},
		{"text in JSON's place", headers + `"result":"{","result_encoding":"text"`, "{", "application/json"},
		{"JSON without a type", `"result":[ 1e400 ]`, "[ 1e400 ]", "application/json"},
		{"JSON of another type", `"headers":{"Content-Type":"a/b"},"result":[1]`, "[1]", "a/b"},
		{"nothing, in base64", `"result":"","result_encoding":"base64"`, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := envelope.DecodeResult([]byte(`{"status":"COMPLETED",`+tt.give+`}`), arrived, limit)
			require.NoError(t, err)
			require.Equal(t, 200, got.Result.Response.StatusCode)
			require.Equal(t, []byte(tt.want), got.Result.Response.Body)
			require.Equal(t, tt.wantType, got.Result.Response.Header.Get("Content-Type"))
			require.Equal(t, arrived, got.Result.CompletedAt)
		})
	}
}

func TestDecodeResultCutsALongError(t *testing.T) {
	t.Parallel()
	long := "x" + strings.Repeat("ä", 5000)
	document := envelope.AppendResult(nil, &envelope.Result{
		ID: "x", Status: domain.Failed, Result: domain.Result{Error: long},
	})
	got, err := envelope.DecodeResult(document, arrived, limit)
	require.NoError(t, err)
	require.Equal(t, "x"+strings.Repeat("ä", 4095), got.Result.Error, "8192 bytes would cut a letter in two")
}

// TestResultRoundTrip holds that a response comes out as it went in, but for the space around JSON.
func TestResultRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		r := envelope.Result{
			ID:     anyID(t),
			Status: rapid.SampledFrom([]domain.Status{domain.Completed, domain.Failed}).Draw(t, "status"),
			Result: domain.Result{
				Response: &domain.Response{
					StatusCode: rapid.IntRange(100, 999).Draw(t, "status code"), Header: anyHeader(t), Body: anyBody(t),
				},
				Error:          rapid.String().Draw(t, "error"),
				CompletedAt:    anyTime(t, "completed"),
				ProcessingTime: time.Duration(rapid.Int64Range(0, 1e9).Draw(t, "took")) * time.Millisecond,
			},
		}
		document := envelope.AppendResult(nil, &r)
		got, err := envelope.DecodeResult(document, arrived, limit)
		require.NoError(t, err)
		if envelope.IsJSON(r.Result.Response.Header.Get("Content-Type")) && json.Valid(r.Result.Response.Body) {
			r.Result.Response.Body = bytes.TrimSpace(r.Result.Response.Body)
		}
		if r.Result.Response.Body == nil {
			r.Result.Response.Body = []byte{}
		}
		require.Equal(t, r, got)
	})
}

// TestDeadLetterRoundTrip holds that an operator gets the original back, whatever it was.
func TestDeadLetterRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := envelope.DeadLetter{
			Message:  anyBody(t),
			ID:       domain.ID(rapid.StringMatching(`[A-Za-z0-9._-]{0,128}`).Draw(t, "id")),
			Error:    rapid.String().Draw(t, "error"),
			Attempts: rapid.IntRange(0, 1000).Draw(t, "attempts"),
			FailedAt: anyTime(t, "failed"),
		}
		got, err := testkit.DecodeDeadLetter(envelope.AppendDeadLetter(nil, &l))
		require.NoError(t, err)
		require.Equal(t, string(trimJSON(l.Message)), string(got.Message))
		l.Message, got.Message = nil, nil
		require.Equal(t, l, got)
	})
}

func trimJSON(message []byte) []byte {
	if json.Valid(message) {
		return bytes.TrimSpace(message)
	}
	return message
}
