package envelope

import (
	"strings"
	"unicode/utf8"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope/rawjson"
)

const contentTypeJSON = "application/json"

// encodingSuffix makes the name of the member that says how another member is encoded.
const (
	encodingSuffix = "_encoding"
	encodingBase64 = "base64"
)

// IsJSON reports whether a Content-Type means JSON: application/json, or any type with the suffix +json (RFC 6839
// section 3.1). Parameters make no difference, even malformed or repeated ones: JSON has none (RFC 8259 section 11).
func IsJSON(contentType string) bool {
	if contentType == contentTypeJSON {
		return true
	}
	media, _, _ := strings.Cut(contentType, ";")
	kind, subtype, _ := strings.Cut(strings.ToLower(strings.Trim(media, " \t")), "/")
	if !isToken(kind) || !isToken(subtype) {
		return false
	}
	return kind+"/"+subtype == contentTypeJSON || strings.HasSuffix(subtype, "+json")
}

// AppendContent adds a body as a member, in the simplest form from which a reader restores its bytes: JSON unchanged,
// other text as a string, anything else as a base64 string with a member "<name>_encoding": "base64". JSON that is not
// UTF-8 counts as "anything else" (RFC 8259 section 8.1). It reports whether the body is mislabelled: the Content-Type
// of its header says JSON, but it is written as a string because it is not.
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
