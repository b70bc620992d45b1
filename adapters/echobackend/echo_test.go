package echobackend_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/openhqm/openhqm/adapters/echobackend"
	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestDoDescribesTheRequest(t *testing.T) {
	t.Parallel()
	header := domain.Header{"X-Many": {"1", "2"}, "Accept": {"a<b>&c"}, "X-None": {}}
	call := ports.Call{
		Method:  http.MethodPut,
		Request: &domain.Request{Path: "/a%2Fb", Query: "x=1&x=&y", Header: header, Body: []byte(`{"n": 1e400}`)},
	}
	resp, err := echobackend.Backend{}.Do(t.Context(), call)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Equal(t, "application/json", resp.Header.Get("Content-Type"))
	require.Equal(t, `{"method":"PUT","path":"/a%2Fb","query":"x=1&x=&y",`+
		`"headers":{"Accept":"a<b>&c","X-Many":["1","2"],"X-None":[]},"body":{"n": 1e400}}`, string(resp.Body))
}

func TestDoBody(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		give []byte
		want string
	}{
		{"none", nil, `"body":null}`},
		{"empty", []byte{}, `"body":""}`},
		{
			"JSON keeps every byte", []byte("{ \"a\":\"<&>\u2028\", \"a\":1e400 }\n"),
			"\"body\":{ \"a\":\"<&>\u2028\", \"a\":1e400 }\n}",
		},
		{
			"a number of 40 digits", []byte("1234567890123456789012345678901234567890"),
			`"body":1234567890123456789012345678901234567890}`,
		},
		{"almost JSON is text", []byte(`{"a":1,}`), `"body":"{\"a\":1,}"}`},
		{"text with NUL and newline", []byte("a\x00\n<é>"), `"body":"a\u0000\n<é>"}`},
		{"bytes", []byte{0xff, 0x00, 0x01}, `"body":"/wAB","body_encoding":"base64"}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			call := ports.Call{Method: http.MethodPost, Request: &domain.Request{Body: tt.give}}
			resp, err := echobackend.Backend{}.Do(t.Context(), call)
			require.NoError(t, err)
			require.True(t, json.Valid(resp.Body), "%s", resp.Body)
			require.Equal(t, `{"method":"POST","path":"","query":"","headers":{},`+tt.want, string(resp.Body))
		})
	}
}

func TestDoAnswersHeadWithoutABody(t *testing.T) {
	t.Parallel()
	call := ports.Call{Method: http.MethodHead, Request: &domain.Request{}}
	resp, err := echobackend.Backend{}.Do(t.Context(), call)
	require.NoError(t, err)
	require.Empty(t, resp.Body)
	require.NotEqual(t, "0", resp.Header.Get("Content-Length"))
}

func TestDoHonoursItsContext(t *testing.T) {
	t.Parallel()
	interrupted, interrupt := context.WithCancelCause(t.Context())
	interrupt(ports.ErrInterrupted)
	late, cancel := context.WithDeadline(t.Context(), time.Unix(0, 0))
	t.Cleanup(cancel)
	tests := []struct {
		name string
		give context.Context
		want domain.FailureKind
	}{
		{"shutdown", interrupted, domain.FailureInterrupted},
		{"deadline", late, domain.FailureTimeout},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			resp, err := echobackend.Backend{}.Do(tt.give, ports.Call{Request: &domain.Request{}})
			require.Nil(t, resp)
			var failure *domain.Failure
			require.ErrorAs(t, err, &failure)
			require.Equal(t, tt.want, failure.Kind)
		})
	}
}
