package e2e_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/openhqm/openhqm/tests/testkit"
)

func TestPayloadAndResultSurviveByteForByte(t *testing.T) {
	t.Parallel()
	inOneProcess(t, byteForByte)
}

func byteForByte(t *testing.T, install processInstaller) {
	t.Helper()
	backend := testkit.NewBackend(t, testkit.Echo())
	client := install(t, testkit.OneBackend(backend.URL)).Start().Client()
	tests := []struct{ name, give string }{
		{name: "spaces and line ends", give: "{ \"a\" :\t[ 1 ,\r\n 2 ] ,\n\n  \"b\":{ } }"},
		{name: "characters that encoders like to escape", give: `{"html": "<a href='x?y&z'>é \/ </a>", "\u0061": "\u00e9"}`},
		{name: "line separators that JavaScript fears", give: "\"a\u2028b\u2029c\""},
		{name: "a number too large for any float", give: `[1e400, -1E+400, 1e-400]`},
		{name: "40 digits", give: `[1234567890123456789012345678901234567890, 0.1000000000000000000000000000000000000001]`},
		{name: "the same key twice", give: `{"a": 1, "a": 2, "A": 3}`},
		{name: "deep", give: strings.Repeat(`[{"a":`, 1000) + `null` + strings.Repeat(`}]`, 1000)},
		{name: "escaped quotes and brackets in strings", give: `{"}\\\"{": "[\"]\\", "\\": "}"}`},
		{name: "a lone surrogate", give: `"\ud800"`},
		{name: "null", give: `null`},
		{name: "false", give: `false`},
		{name: "an empty string", give: `""`},
		{name: "a megabyte", give: `"` + strings.Repeat("0123456789abcdef", 1<<16) + `"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			id := client.Submit(`{"metadata": {}, "payload" : ` + tt.give + " \n}").CorrelationID

			result := client.Result(id)

			calls := backend.CallsOf(id)
			require.Len(t, calls, 1)
			require.Equal(t, tt.give, string(calls[0].Body))
			require.Equal(t, "application/json", calls[0].Header.Get("Content-Type"))
			require.Equal(t, "COMPLETED", result.Status)
			require.Equal(t, tt.give, string(result.Result))
			require.Empty(t, result.ResultEncoding)
			require.Contains(t, string(result.Document), `"result":`+tt.give)
		})
	}
}

func TestAResultThatIsNotJSONComesAsTextOrBase64(t *testing.T) {
	t.Parallel()
	inOneProcess(t, textOrBase64)
}

func textOrBase64(t *testing.T, install processInstaller) {
	t.Helper()
	const binary = "\x00\x01\xff\xfe\x80JSON?"
	quoted := func(text string) string { return `"` + text + `"` }
	tests := []struct {
		name, contentType, body  string
		wantResult, wantEncoding string
	}{
		{name: "text", contentType: "text/plain", body: "a <b> & \"é\"\n", wantResult: quoted(`a <b> & \"é\"\n`)},
		{name: "text that looks like JSON", contentType: "text/plain", body: `{"a": 1}`, wantResult: quoted(`{\"a\": 1}`)},
		{name: "JSON that is none", contentType: "application/json", body: `{"a": `, wantResult: quoted(`{\"a\": `)},
		{name: "NUL", contentType: "text/plain", body: "a\x00b", wantResult: quoted(`a\u0000b`)},
		{name: "nothing", contentType: "text/plain", body: "", wantResult: quoted("")},
		{name: "JSON by its suffix", contentType: "application/geo+json", body: `{ "a":1}`, wantResult: `{ "a":1}`},
		{
			name: "binary", contentType: "application/octet-stream", body: binary,
			wantResult: quoted(base64.StdEncoding.EncodeToString([]byte(binary))), wantEncoding: "base64",
		},
		{
			name: "JSON in another encoding", contentType: "application/json", body: "\"\xe9\"",
			wantResult: quoted(base64.StdEncoding.EncodeToString([]byte("\"\xe9\""))), wantEncoding: "base64",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			backend := testkit.NewBackend(t, testkit.Respond(http.StatusOK, tt.contentType, tt.body))
			client := install(t, testkit.OneBackend(backend.URL)).Start().Client()

			result := client.Result(client.Submit(`{"payload": 1}`).CorrelationID)

			require.Equal(t, "COMPLETED", result.Status)
			require.Equal(t, tt.wantResult, string(result.Result))
			require.Equal(t, tt.wantEncoding, result.ResultEncoding)
			require.True(t, json.Valid(result.Document))
		})
	}
}
