package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
)

func TestStatusDocument(t *testing.T) {
	t.Parallel()
	waiting := pendingRecord
	waiting.NextAttemptAt = testNow.Add(time.Minute)
	for _, tt := range []struct {
		give domain.Record
		want string
	}{
		{pendingRecord, `{"correlation_id":"%s","status":"PENDING","submitted_at":"2026-03-04T04:06:07.891Z",` +
			`"updated_at":"2026-03-04T04:06:08.891Z","attempts":2,"endpoint":"orders"}`},
		{waiting, `{"correlation_id":"%s","status":"PENDING","submitted_at":"2026-03-04T04:06:07.891Z",` +
			`"updated_at":"2026-03-04T04:06:08.891Z","attempts":2,"next_attempt_at":"2026-03-04T04:07:07.891Z",` +
			`"endpoint":"orders"}`},
	} {
		r := start(t, &fakes{state: func(_ context.Context, id domain.ID) (domain.Record, error) {
			require.Equal(t, testID, id)
			return tt.give, nil
		}})
		a := r.do("GET", statusURL, "")
		require.Equal(t, http.StatusOK, a.StatusCode)
		require.Equal(t, fmt.Sprintf(tt.want, testID), a.body)
		requireRecordFields(t, a, domain.Pending)
		require.Equal(t, observed{"GET", "/api/v1/status/{id}", 200}, <-r.observed)
	}
}

func TestResultDocument(t *testing.T) {
	t.Parallel()
	response := func(status int, contentType, body string) *domain.Response {
		return &domain.Response{
			StatusCode: status, Header: domain.Header{"Content-Type": {contentType}}, Body: []byte(body),
		}
	}
	for _, tt := range []struct {
		name   string
		status domain.Status
		give   *domain.Result
		want   string // between status and attempts
	}{
		{
			"an answer", domain.Completed, &domain.Result{Response: response(200, "application/json", `{"a": 1}`)},
			`"status_code":200,"headers":{"Content-Type":"application/json"},"result":{"a": 1},`,
		},
		{
			"repeated and foreign fields", domain.Completed,
			&domain.Result{Response: &domain.Response{StatusCode: 204, Header: domain.Header{
				"Set-Cookie": {"a=1", "b=\"2\""}, "X-Latin": {"caf\xe9"}, "X-Empty": {""}, "A": {"<&>"},
			}}},
			`"status_code":204,"headers":{"A":"<&>","Set-Cookie":["a=1","b=\"2\""],"X-Empty":"","X-Latin":"caf` +
				"\uFFFD" + `"},"result":"",`,
		},
		{
			"a failure with its last answer", domain.Failed,
			&domain.Result{Response: response(503, "text/plain", "later"), Error: "the backend answered 503"},
			`"status_code":503,"headers":{"Content-Type":"text/plain"},"result":"later",` +
				`"error":"the backend answered 503",`,
		},
		{"no answer", domain.TimedOut, &domain.Result{Error: `timeout: "x"`}, `"error":"timeout: \"x\"",`},
		{"cancelled", domain.Cancelled, &domain.Result{}, ``},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tt.give.CompletedAt = testNow.Add(time.Hour)
			tt.give.ProcessingTime = 1234567 * time.Microsecond
			record := pendingRecord
			record.Status, record.Result = tt.status, tt.give
			a := start(t, found(record)).do("GET", responseURL, "")
			require.Equal(t, http.StatusOK, a.StatusCode)
			require.Equal(t, fmt.Sprintf(`{"correlation_id":"%s","status":"%s",`, testID, tt.status)+tt.want+
				`"attempts":2,"processing_time_ms":1234,"submitted_at":"2026-03-04T04:06:07.891Z",`+
				`"completed_at":"2026-03-04T05:06:07.891Z"}`, a.body)
			requireRecordFields(t, a, tt.status)
			require.Empty(t, a.Header.Get("Retry-After"))
		})
	}
}

func TestFinalRecordWithoutResultIsShown(t *testing.T) {
	t.Parallel()
	record := pendingRecord
	record.Status = domain.Cancelled
	a := start(t, found(record)).do("GET", responseURL, "")
	require.Contains(t, a.body, `"status":"CANCELLED","attempts":2`)
	require.Contains(t, a.body, `"completed_at":"2026-03-04T04:06:08.891Z"`, "what the record knows")
}

func TestResultKeepsItsBytes(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		contentType, body, want string
	}{
		{"application/json", `{ "a" : [1e400, 1234567890123456789012345678901234567890] }`, ""},
		{"application/json; charset=utf-8", "{\"html\":\"<a>&\u2028\",\"twice\":1,\"twice\":2}", ""},
		{"application/problem+json", "\r\n[1]\n", ""},
		{"Application/JSON", `"\u2028\/"`, ""},
		{"application/json", `null`, ""},
		{"application/json", `{"broken"`, `"{\"broken\""`},
		{"application/json", ``, `""`},
		{"application/json", `1 2`, `"1 2"`},
		{"application/json", "\"\xff\"", `"Iv8i","result_encoding":"base64"`},
		{"text/plain", `{"a":1}`, `"{\"a\":1}"`},
		{"", `1`, `"1"`},
		{"text/html", "<b>\u2028\u2029é\U0001F600</b>", "\"<b>\u2028\u2029é\U0001F600</b>\""},
		{"text/plain", "\"\\/\b\f\n\r\t\x00\x1f\x7f", `"\"\\/\u0008\u000c\n\r\t\u0000\u001f` + "\x7f\""},
		{"application/octet-stream", "\x00\xff", `"AP8=","result_encoding":"base64"`},
		{"text/plain", "caf\xe9", `"Y2Fm6Q==","result_encoding":"base64"`},
	} {
		if tt.want == "" {
			tt.want = tt.body
		}
		record := pendingRecord
		record.Status = domain.Completed
		record.Result = &domain.Result{Response: &domain.Response{
			StatusCode: 200, Header: domain.Header{"Content-Type": {tt.contentType}}, Body: []byte(tt.body),
		}}
		document := string(resultDocument(&record))
		require.Contains(t, document, `},"result":`+tt.want+`,"attempts"`)
		require.True(t, json.Valid([]byte(document)), document)
	}
}

func TestLargeResultIsReturnedWhole(t *testing.T) {
	t.Parallel()
	record := pendingRecord
	record.Status = domain.Completed
	result := `"` + strings.Repeat("0123456789abcdef", 1<<16) + `"`
	record.Result = &domain.Result{Response: &domain.Response{
		StatusCode: 200, Header: domain.Header{"Content-Type": {jsonType}}, Body: []byte(result),
	}}
	a := start(t, found(record)).do("GET", responseURL, "")
	require.Equal(t, resultDocument(&record), []byte(a.body))
	require.EqualValues(t, len(a.body), a.ContentLength)
}
