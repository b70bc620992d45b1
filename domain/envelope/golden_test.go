package envelope_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/tests/testkit"
)

// The files in testdata are messages that are out in the world: each must decode to what stands here, for ever. Files
// are added, never changed. Those that are written by us are written like that, byte for byte.

// requireEveryFile sees to it that no file is forgotten.
func requireEveryFile[T any](t *testing.T, kind string, cases map[string]T) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", kind, "*"))
	require.NoError(t, err)
	require.Len(t, files, len(cases))
	for _, file := range files {
		require.Contains(t, cases, strings.TrimSuffix(filepath.Base(file), ".json"))
	}
}

func golden(tb testing.TB, kind, name string) []byte {
	tb.Helper()
	document, err := os.ReadFile(filepath.Join("testdata", kind, name+".json"))
	require.NoError(tb, err)
	return document
}

type goldenCase[T any] struct {
	want T
	ours bool // written by us
}

var submitted = time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)

func goldenMessages() map[string]goldenCase[envelope.Message] {
	return map[string]goldenCase[envelope.Message]{
		"full": {ours: true, want: envelope.Message{RetryCount: 2, Request: domain.Request{
			ID: "01890a5d-ac96-774b-bcce-b302099a8057", Endpoint: "orders", Method: "PUT", Path: "/v1/a%20b",
			Query: "x=1&y=%22", Body: []byte(`{ "a" : [1e400,"<&>"], "a":2 }`),
			Header: domain.Header{
				"Accept": {"a/b", "c/d"}, "Content-Type": {"application/json"}, "X-Empty": {""},
				"Traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, "Tracestate": {"a=1", "b=2"},
			},
			Priority: 7, Labels: map[string]string{"team": `a"b`, "tier": ""}, MaxAttempts: 5,
			SubmittedAt: submitted.Add(891 * time.Millisecond), NotBefore: submitted.Add(53 * time.Second),
			Deadline: submitted.Add(91391 * time.Millisecond),
		}}},
		"bytes": {ours: true, want: envelope.Message{Request: domain.Request{
			ID: "x.Y_1-2", Endpoint: "files", Body: []byte("\x00\xff\n"),
			Header:      domain.Header{"Content-Type": {"application/octet-stream"}},
			SubmittedAt: submitted, Deadline: submitted.Add(72 * time.Hour),
		}}},
		"empty_body": {ours: true, want: envelope.Message{Request: domain.Request{
			ID: "x", Endpoint: "e", Header: domain.Header{}, Body: []byte{}, SubmittedAt: submitted,
		}}},
		"no_body": {ours: true, want: envelope.Message{Request: domain.Request{
			ID: "x", Endpoint: "e", Method: "GET", Header: domain.Header{}, SubmittedAt: submitted,
		}}},
		"seed": {want: envelope.Message{Request: domain.Request{
			ID: "5f0c2f5e-9a3b-4b0e-8c39-1de1a1b8c9aa", Body: []byte(`{"test": "data"}`),
			Header:      domain.Header{"Content-Type": {"application/json"}},
			SubmittedAt: time.Date(2024, 1, 15, 10, 30, 0, 123_000_000, time.UTC),
		}}},
		"seed_proxy": {want: envelope.Message{RetryCount: 1, Request: domain.Request{
			ID: "req-1", Endpoint: "user-service", Method: "POST", Body: []byte(`{"operation": "process", "n": 40}`),
			Header: domain.Header{
				"Content-Type": {"application/json"}, "X-Request-Id": {"abc"}, "Authorization": {"Bearer t"},
			},
			Priority: 5, SubmittedAt: time.Date(2024, 1, 15, 9, 30, 0, 0, time.UTC),
			Deadline: time.Date(2024, 1, 15, 9, 35, 0, 0, time.UTC),
		}}},
		"unknown_members": {want: envelope.Message{Ignored: []string{
			"version", "trace", "metadata.shard", "metadata.tenant",
		}, Request: domain.Request{
			ID: "new", Endpoint: "e", Body: []byte("null"),
			Header: domain.Header{
				"Content-Type": {"application/vnd.a+json"}, "Traceparent": {"00-a"}, "Tracestate": {"k=v"},
			},
			SubmittedAt: arrived, Deadline: arrived.Add(90 * time.Second),
		}}},
		"no_id": {want: envelope.Message{Ignored: []string{"correlation_id"}, Request: domain.Request{
			Body: []byte(`"text"`), Header: domain.Header{"Content-Type": {"application/json"}}, SubmittedAt: arrived,
		}}},
	}
}

func TestGoldenMessages(t *testing.T) {
	t.Parallel()
	requireEveryFile(t, "message", goldenMessages())
	for name, tt := range goldenMessages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			document := golden(t, "message", name)
			got, err := envelope.Decode(document, arrived, limit)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
			if tt.ours {
				require.Equal(t, string(bytes.TrimSpace(document)), string(envelope.Append(nil, &got)))
			}
		})
	}
}

func goldenResults() map[string]goldenCase[envelope.Result] {
	answered := func(code int, header domain.Header, body string) *domain.Response {
		return &domain.Response{StatusCode: code, Header: header, Body: []byte(body)}
	}
	media := func(contentType string) domain.Header { return domain.Header{"Content-Type": {contentType}} }
	completed := func(response *domain.Response) envelope.Result {
		return envelope.Result{
			ID: "x", Status: domain.Completed, Result: domain.Result{Response: response, CompletedAt: submitted},
		}
	}
	full := completed(answered(201, domain.Header{
		"Content-Type": {"application/json"}, "Set-Cookie": {"a=1", "b=2"},
	}, `{ "a" : 1e400 }`))
	full.Result.CompletedAt = submitted.Add(891 * time.Millisecond)
	full.Result.ProcessingTime = 1234 * time.Millisecond
	elsewhere := completed(answered(200, media("image/png"), ""))
	elsewhere.URL = "https://a/api/v1/response/x/raw"
	seed := completed(answered(200, media("application/json"), `{"ok": true}`))
	seed.Result.CompletedAt = arrived
	unknown := completed(answered(200, domain.Header{}, "done"))
	unknown.Result.CompletedAt = time.Date(2024, 1, 15, 10, 30, 0, 500_000_000, time.UTC)
	unknown.Result.ProcessingTime = 2 * time.Millisecond
	unknown.Ignored = []string{"worker"}
	return map[string]goldenCase[envelope.Result]{
		"json":        {full, true},
		"text":        {completed(answered(200, media("text/plain"), "a \"b\"\n")), true},
		"broken_json": {completed(answered(200, media("application/json"), `{"broken`)), true},
		"bytes":       {completed(answered(200, media("image/png"), "\x00\xff\n")), true},
		"elsewhere":   {elsewhere, true},
		"failed": {envelope.Result{ID: "x", Status: domain.Failed, Result: domain.Result{
			Response: answered(503, domain.Header{}, "later"), Error: "the backend answered 503 Service Unavailable",
			CompletedAt: submitted, ProcessingTime: 5 * time.Millisecond,
		}}, true},
		"timeout": {envelope.Result{ID: "x", Status: domain.TimedOut, Result: domain.Result{
			Error: "timeout: deadline", CompletedAt: submitted,
		}}, true},
		"seed":            {seed, false},
		"unknown_members": {unknown, false},
		"seed_failed": {envelope.Result{ID: "x", Status: domain.Failed, Result: domain.Result{
			Error: "boom", CompletedAt: arrived,
		}}, false},
	}
}

func TestGoldenResults(t *testing.T) {
	t.Parallel()
	requireEveryFile(t, "result", goldenResults())
	for name, tt := range goldenResults() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			document := golden(t, "result", name)
			got, err := envelope.DecodeResult(document, arrived, limit)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
			if tt.ours {
				require.Equal(t, string(bytes.TrimSpace(document)), string(envelope.AppendResult(nil, &got)))
			}
		})
	}
}

func TestGoldenDeadLetters(t *testing.T) {
	t.Parallel()
	cases := map[string]goldenCase[envelope.DeadLetter]{
		"json": {envelope.DeadLetter{
			Message: []byte(`{"correlation_id":"x", "payload":1e400}`), ID: "x", Error: "undecodable", Attempts: 4,
			FailedAt: submitted.Add(891 * time.Millisecond),
		}, true},
		"fields": {envelope.DeadLetter{
			Fields: []domain.Field{{Name: "data", Value: `{"a": 1}`}, {Name: "\xff", Value: "\x00\xfe"}},
			ID:     "stream-1-1", Error: "no field", FailedAt: submitted,
		}, true},
		"bytes": {envelope.DeadLetter{
			Message: []byte("\x00\xff{"), ID: "requests-3-17", Error: "message: is not valid JSON in UTF-8",
			FailedAt: submitted,
		}, true},
		"elsewhere": {envelope.DeadLetter{
			URL: "https://a/api/v1/dead-letters/x", ID: "x", Error: "no luck", Attempts: 4, FailedAt: submitted,
		}, true},
	}
	requireEveryFile(t, "deadletter", cases)
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			document := golden(t, "deadletter", name)
			got, err := testkit.DecodeDeadLetter(document)
			require.NoError(t, err)
			require.Equal(t, tt.want, got)
			if tt.ours {
				require.Equal(t, string(bytes.TrimSpace(document)), string(envelope.AppendDeadLetter(nil, &got)))
			}
		})
	}
}
