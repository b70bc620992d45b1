package sqs

import (
	"encoding/xml"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestWhatIsEncodedIsLegalAndComesBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		value := rapid.OneOf(
			rapid.SliceOf(rapid.Byte()),
			rapid.Map(rapid.String(), func(s string) []byte { return []byte(s) }),
			rapid.Map(rapid.StringOf(rapid.SampledFrom([]rune("a\t\n\r \x00\x0b\u0085\ud7ff\ufffd\ufffe\uffff😀"))),
				func(s string) []byte { return []byte(s) }),
		).Draw(t, "value")
		b := encode(value)
		require.NotEmpty(t, b.text)
		require.NoError(t, xml.Unmarshal([]byte("<body>"+escaped(b.text)+"</body>"), new(string)))
		require.Equal(t, append([]byte{}, value...), decode(&types.Message{
			Body: &b.text, MessageAttributes: b.attributes(),
		}))
		if b.encoded {
			require.False(t, legal(value) && len(value) > 0, "it could have gone as it is")
		}
	})
}

// escaped is what a parser of XML takes for a text that it allows, and refuses for another.
func escaped(text string) string {
	var out []byte
	for _, c := range []byte(text) {
		switch c {
		case '<':
			out = append(out, "&lt;"...)
		case '&':
			out = append(out, "&amp;"...)
		case '>':
			out = append(out, "&gt;"...)
		default:
			out = append(out, c)
		}
	}
	return string(out)
}
