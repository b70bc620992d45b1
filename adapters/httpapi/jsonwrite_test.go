package httpapi

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestObjectIsValidJSON(t *testing.T) {
	t.Parallel()
	o := newObject(0)
	require.Equal(t, `{}`, string(newObject(0).end()))
	o.text(`a"`, "b")
	o.texts("list", []string{"1", "2"})
	o.texts("none", nil)
	o.number("n", -5)
	o.raw("raw", []byte(` [ 1e400 ] `))
	o.base64("b", []byte{0, 255})
	o.time("at", time.Date(2026, 1, 2, 3, 4, 5, 999_999_999, time.FixedZone("", -3600)))
	require.Equal(t, `{"a\"":"b","list":["1","2"],"none":[],"n":-5,"raw": [ 1e400 ] ,"b":"AP8=",`+
		`"at":"2026-01-02T04:04:05.999Z"}`, string(o.end()))
}

// FuzzAppendString holds that what is appended is JSON and reads as the text it was made of.
func FuzzAppendString(f *testing.F) {
	for _, seed := range []string{
		"", "plain", "\"\\/\b\f\n\r\t\x00\x1f\x7f", "<&>\u2028\u2029\U0001F600", "\xff\xc3\x28",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		quoted := appendString([]byte("x"), text)[1:]
		var read string
		require.NoError(t, json.Unmarshal(quoted, &read), "%q", quoted)
		require.Equal(t, strings.ToValidUTF8(text, "\uFFFD"), read)
	})
}
