package envelope

import (
	"mime"
	"strings"
	"unicode/utf8"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope/rawjson"
)

const contentTypeJSON = "application/json"

// encodingSuffix follows the name of a member in that of the member which says how it is encoded.
const (
	encodingSuffix = "_encoding"
	encodingBase64 = "base64"
)

// IsJSON reports whether a Content-Type says JSON: application/json, or any type with the suffix +json (RFC 6839
// section 3.1).
func IsJSON(contentType string) bool {
	if contentType == contentTypeJSON {
		return true
	}
	media, _, err := mime.ParseMediaType(contentType)
	return err == nil && (media == contentTypeJSON || strings.HasSuffix(media, "+json"))
}

// AppendContent adds the bytes of a message that has this header, in the plainest form that gives them back: JSON as it
// stands, other text as a string, anything else in base64, which a member with the suffix _encoding says. JSON that is
// not UTF-8 is no JSON (RFC 8259 section 8.1) and would spoil the document around it. It reports whether the string is
// mislabelled: its Content-Type promises JSON, and it is none.
func AppendContent(w *rawjson.Writer, name string, header domain.Header, body []byte) (mislabelled bool) {
	isJSON := IsJSON(header.Get(fieldContentType))
	switch {
	case !utf8.Valid(body):
		w.Base64(name, body)
		w.Text(name+encodingSuffix, encodingBase64)
	case isJSON && embeddable(body):
		w.Raw(name, body)
	default:
		w.ValidText(name, body)
		return isJSON
	}
	return false
}
