package envelope

import (
	"time"
	"unicode/utf8"

	"github.com/openhqm/openhqm/domain"
)

// Faithful reports whether a message preserves the request: what Decode returns is what Append was given, byte for
// byte, as far as a Message carries it. It checks neither the limits of Decode nor any time except NotBefore.
func Faithful(r *domain.Request) bool {
	if !r.ID.Valid() || r.Method != "" && !isToken(r.Method) || !isWhole(r.NotBefore) {
		return false
	}
	for name, values := range r.Header {
		if len(values) == 0 || !isToken(name) || !allFieldValues(values) || !allUTF8(values...) {
			return false
		}
	}
	for name, value := range r.Labels {
		if !allUTF8(name, value) {
			return false
		}
	}
	return allUTF8(r.Endpoint, r.Path, r.Query)
}

// isWhole reports whether a time has no fraction of a millisecond.
func isWhole(t time.Time) bool { return t.Equal(t.Truncate(time.Millisecond)) }

func allUTF8(texts ...string) bool {
	for _, text := range texts {
		if !utf8.ValidString(text) {
			return false
		}
	}
	return true
}
