package httpapi

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// accepting is an application that accepts everything and returns what it received.
func accepting() (*fakes, chan ports.Submission) {
	given := make(chan ports.Submission, 1)
	return &fakes{submit: func(_ context.Context, s ports.Submission) (ports.Receipt, error) {
		given <- s
		return ports.Receipt{ID: testID, SubmittedAt: testNow}, nil
	}}, given
}

func TestSubmitIsAnsweredWithAReceipt(t *testing.T) {
	t.Parallel()
	f, given := accepting()
	r := start(t, f)
	a := r.do("POST", "/api/v1/submit", `{"payload": [1, 2] }`, "Content-Type", "application/json")
	require.Equal(t, http.StatusAccepted, a.StatusCode)
	require.Equal(t, `{"correlation_id":"`+string(testID)+`","status":"PENDING",`+
		`"submitted_at":"2026-03-04T04:06:07.891Z"}`, a.body)
	require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	require.Equal(t, "/api/v1/status/"+string(testID), a.Header.Get("Location"))
	require.Equal(t, "1", a.Header.Get("Retry-After"))
	require.Equal(t, string(testID), a.Header.Get("X-Correlation-ID"))
	require.Equal(t, "PENDING", a.Header.Get("X-OpenHQM-Status"))
	require.False(t, a.Close, "the connection can be used again")
	require.Equal(t, ports.Submission{
		Caller: everybody, Origin: fromHere("gateway"),
		Header: domain.Header{"Content-Type": {"application/json"}}, Body: []byte("[1, 2]"),
	}, <-given)
	require.Equal(t, observed{"POST", "/api/v1/submit", 202}, <-r.observed)
	require.Empty(t, r.log.String(), "no line per request")
}

func TestLocationIsAbsoluteWithAPublicURL(t *testing.T) {
	t.Parallel()
	for _, public := range []string{"https://hqm.example/base", "https://hqm.example/base/"} {
		f, _ := accepting()
		a := start(t, f, func(o *Options) { o.PublicURL = public }).do("POST", "/api/v1/submit", `{}`)
		require.Equal(t, "https://hqm.example/base/api/v1/status/"+string(testID), a.Header.Get("Location"))
	}
}

func TestOnlyContextFieldsOfTheSubmitTravel(t *testing.T) {
	t.Parallel()
	const parent, own = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "00-own-own-01"
	json := domain.Header{"Content-Type": {"application/json"}}
	for _, tt := range []struct {
		name  string
		body  string
		given []string
		want  domain.Header
	}{
		{"nothing else", `{"payload":1}`, []string{"Authorization", "Bearer x", "Cookie", "a=b", "Accept", "*/*"}, json},
		{
			"correlation id and trace", `{}`,
			[]string{"X-Correlation-ID", "mine", "traceparent", parent, "tracestate", "a=1", "tracestate", "b=2"},
			domain.Header{"X-Correlation-Id": {"mine"}, "Traceparent": {parent}, "Tracestate": {"a=1", "b=2"}},
		},
		{
			"headers win", `{"headers":{"x-correlation-id":"inner","traceparent":"` + own + `"}}`,
			[]string{"X-Correlation-ID", "outer", "traceparent", parent, "tracestate", "a=1"},
			domain.Header{"X-Correlation-Id": {"inner"}, "Traceparent": {own}},
		},
		{
			"all hops", `{"headers":{"via":"1.0 first"}}`,
			[]string{"Via", "1.1 second"},
			domain.Header{"Via": {"1.0 first", "1.1 second"}},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f, given := accepting()
			a := start(t, f).do("POST", "/api/v1/submit", tt.body, tt.given...)
			require.Equal(t, http.StatusAccepted, a.StatusCode, a.body)
			require.Equal(t, tt.want, (<-given).Header)
		})
	}
}

func TestSubmitTakesAnIdempotencyKey(t *testing.T) {
	t.Parallel()
	f, given := accepting()
	r := start(t, f)
	r.do("POST", "/api/v1/submit", `{}`, "Idempotency-Key", `key 1`)
	require.Empty(t, given, "a malformed key is not submitted")
	a := r.do("POST", "/api/v1/submit", `{}`, "Idempotency-Key", `"key-1"`)
	require.Equal(t, http.StatusAccepted, a.StatusCode)
	require.Equal(t, "key-1", (<-given).IdempotencyKey)
}

func TestSubmitWantsJSON(t *testing.T) {
	t.Parallel()
	f, given := accepting()
	r := start(t, f)
	for _, header := range [][]string{
		nil,
		{"Content-Type", "application/json"},
		{"Content-Type", "Application/JSON; charset=utf-8"},
		{"Content-Type", "application/vnd.api+json"},
		{"Content-Type", "application/json; charset"},
		{"Content-Type", "application/json; charset=utf-8; charset=UTF-8"},
		{"Content-Encoding", "identity"},
	} {
		require.Equal(t, http.StatusAccepted, r.do("POST", "/api/v1/submit", `{}`, header...).StatusCode, header)
		<-given
	}
	for _, header := range [][]string{
		{"Content-Type", "text/plain"},
		{"Content-Type", "application/x-www-form-urlencoded"},
		{"Content-Type", "application/jsonp"},
		{"Content-Type", "json"},
		{"Content-Encoding", "gzip"},
	} {
		a := r.do("POST", "/api/v1/submit", `{}`, header...)
		requireProblem(t, a, http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE")
		require.Empty(t, given)
	}
	a := r.do("POST", "/api/v1/submit", `{}`, "Content-Encoding", "identity", "Content-Encoding", "gzip")
	requireProblem(t, a, http.StatusUnsupportedMediaType, "UNSUPPORTED_MEDIA_TYPE")
	a = r.do("POST", "/api/v1/submit", `{}`, "Content-Type", "application/json", "Content-Type", "application/json")
	p := requireProblem(t, a, http.StatusBadRequest, "VALIDATION_ERROR")
	require.Equal(t, "Content-Type", p["field"])
	require.Empty(t, given)
}

func TestInvalidSubmitNamesTheField(t *testing.T) {
	t.Parallel()
	f, given := accepting()
	r := start(t, f)
	for _, tt := range []struct{ body, field string }{
		{``, "body"},
		{`{"payload":`, "body"},
		{`{"metadata":{"tiemout":1}}`, "metadata.tiemout"},
		{`{"` + strings.Repeat("\xff\x00", 5) + `":1}`, "body"},
		{`{"\"\u0001\u2028é":1}`, "\"\x01\u2028é"},
	} {
		p := requireProblem(t, r.do("POST", "/api/v1/submit", tt.body), http.StatusBadRequest, "VALIDATION_ERROR")
		require.Equal(t, tt.field, p["field"])
		require.Contains(t, p["detail"], tt.field)
		require.NotContains(t, p, "correlation_id")
	}
	require.Empty(t, given)
}

func TestSubmitHasADeadline(t *testing.T) {
	t.Parallel()
	f := &fakes{submit: func(ctx context.Context, _ ports.Submission) (ports.Receipt, error) {
		deadline, ok := ctx.Deadline()
		require.True(t, ok)
		require.Less(t, time.Until(deadline), callTimeout+time.Second)
		return ports.Receipt{ID: testID}, nil
	}}
	require.Equal(t, http.StatusAccepted, start(t, f).do("POST", "/api/v1/submit", `{}`).StatusCode)
}
