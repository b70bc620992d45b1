package httpapi

import (
	"regexp"
	"strings"

	"github.com/openhqm/openhqm/domain"
)

const (
	idempotencyField  = "Idempotency-Key"
	maxIdempotencyKey = 255 // bytes
)

// idempotencyKey reads the Idempotency-Key fields of a request; it returns "" without any. By the draft
// (draft-ietf-httpapi-idempotency-key-header, section 2.1) the value is a structured-field string, whose parameters
// mean nothing here: "8e03978e". Most clients send it without quotes, which is the same. Errors are *domain.Invalid.
func idempotencyKey(values []string) (string, error) {
	if len(values) == 0 {
		return "", nil
	}
	if len(values) > 1 {
		return "", &domain.Invalid{Field: idempotencyField, Reason: reasonTwice}
	}
	value := values[0]
	visible := unspaced
	if end := strings.LastIndexByte(value, '"'); strings.HasPrefix(value, `"`) && parameters.MatchString(value[end+1:]) {
		value, visible = value[:end+1], printable
	}
	key, ok := unquote(value)
	if !ok {
		return "", &domain.Invalid{Field: idempotencyField, Reason: "is not a structured-field string (RFC 9651 3.3.3)"}
	}
	if len(key) == 0 || len(key) > maxIdempotencyKey || !visible.MatchString(key) {
		return "", &domain.Invalid{Field: idempotencyField, Reason: "must be 1 to 255 ASCII characters, quoted with spaces"}
	}
	return key, nil
}

var (
	printable = regexp.MustCompile(`^[ -~]+$`) // what a string may hold (RFC 9651 section 3.3.3)
	unspaced  = regexp.MustCompile(`^[!-~]+$`)

	// parameters are those behind a string (RFC 9651 section 3.1.2), without strings of their own.
	parameters = regexp.MustCompile(`^( *; *[a-z*][a-z0-9_.*-]*(=[!#-:<-~]+)?)*$`)
)

// unquote returns the content of a structured-field string, and a value that does not begin with a quote unchanged.
func unquote(value string) (content string, ok bool) {
	if !strings.HasPrefix(value, `"`) {
		return value, true
	}
	var key strings.Builder
	for i := 1; i < len(value); i++ {
		c := value[i]
		switch c {
		case '"':
			return key.String(), i == len(value)-1
		case '\\': // only a quote and a backslash may be escaped
			i++
			if i == len(value) || value[i] != '"' && value[i] != '\\' {
				return "", false
			}
			c = value[i]
		}
		key.WriteByte(c)
	}
	return "", false
}
