package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope/rawjson"
)

// checkJSON says what keeps document from being JSON (RFC 8259). A payload is for its backend to judge, so bytes in it
// that are not UTF-8 are no fault here; eachMember and decodeString refuse them in what is read.
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

// reasonTwice refuses what may be there once.
const reasonTwice = "is given twice"

// reasonUTF8 refuses what no JSON document can hold as it is.
const reasonUTF8 = "must be valid UTF-8"

// eachMember calls visit for every member of a JSON object in order, with its decoded key and the bytes of its value.
// The value must have passed checkJSON. Errors: *domain.Invalid when it is no object or has a key twice, and visit's.
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
	return nil
}

// decodeString gives the text of a JSON string. Invalid UTF-8 is refused, since no reader would see it as it is.
func decodeString(field string, value []byte) (string, error) {
	text, ok := rawjson.Text(value)
	switch {
	case !ok:
		return "", &domain.Invalid{Field: field, Reason: "must be a string"}
	case !utf8.Valid(text):
		return "", &domain.Invalid{Field: field, Reason: reasonUTF8}
	}
	return string(text), nil
}

// maxShownKey bounds, in bytes, how much of a client's key an error repeats.
const maxShownKey = 100

// member names a member for an error: "metadata.timeout".
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
