package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope/rawjson"
)

// checkJSON returns a *domain.Invalid when document is not JSON (RFC 8259). It accepts bytes that are not UTF-8, since
// judging a payload is up to its backend; eachMember and decodeString reject them in what they read.
func checkJSON(document []byte) error {
	if json.Valid(document) {
		return nil
	}
	reason := "is not valid JSON"
	if len(document) == 0 {
		reason = "is empty"
	} else if syntax, ok := errors.AsType[*json.SyntaxError](json.Unmarshal(document, &struct{}{})); ok {
		reason += ": " + syntax.Error()
	}
	return &domain.Invalid{Field: "body", Reason: reason}
}

// reasonTwice is for what may be present once.
const reasonTwice = "appears twice"

// reasonUTF8 is for text that no JSON document can hold unchanged.
const reasonUTF8 = "must be valid UTF-8"

// reasonSurrogate is for text that is not Unicode (RFC 8259 section 8.2).
const reasonSurrogate = `must not have half a surrogate pair, such as "\ud83d" alone`

// eachMember calls visit for every member of a JSON object in order, with its decoded key and the bytes of its value.
// The value must have passed checkJSON. Errors: *domain.Invalid when it is not an object or has a key twice; any error
// of visit.
func eachMember(field string, value []byte, visit func(key string, value []byte) error) error {
	object := bytes.TrimSpace(value)
	if object[0] != '{' {
		return &domain.Invalid{Field: field, Reason: "must be a JSON object"}
	}
	seen := make(map[string]struct{})
	for key, value := range rawjson.Members(object) {
		if !utf8.Valid(key) {
			return &domain.Invalid{Field: field, Reason: reasonUTF8}
		}
		key := string(key)
		if _, twice := seen[key]; twice {
			return &domain.Invalid{Field: member(field, key), Reason: reasonTwice}
		}
		seen[key] = struct{}{}
		if err := visit(key, value); err != nil {
			return err
		}
	}
	if field != bodyField && rawjson.HalfSurrogate(object) { // in a name; visit has looked at the values
		return &domain.Invalid{Field: field, Reason: reasonSurrogate}
	}
	return nil
}

// decodeString returns the text of a JSON string. It rejects what no reader would see unchanged: invalid UTF-8, and
// half a surrogate pair.
func decodeString(field string, value []byte) (string, error) {
	text, ok := rawjson.Text(value)
	switch {
	case !ok:
		return "", &domain.Invalid{Field: field, Reason: "must be a string"}
	case rawjson.HalfSurrogate(value):
		return "", &domain.Invalid{Field: field, Reason: reasonSurrogate}
	case !utf8.Valid(text):
		return "", &domain.Invalid{Field: field, Reason: reasonUTF8}
	}
	return string(text), nil
}

// maxShownKey is how many bytes of a client's key an error repeats.
const maxShownKey = 100

// member returns the name of a member for an error: "metadata.timeout".
func member(field, key string) string {
	if len(key) > maxShownKey {
		key = key[:maxShownKey] + "..."
	}
	if key == "" {
		key = `""`
	}
	if field == bodyField {
		return key
	}
	return field + "." + key
}
