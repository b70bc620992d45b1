package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"unicode/utf8"

	"github.com/openhqm/openhqm/domain"
)

// This file reads JSON objects member by member and gives values as the bytes they are. encoding/json alone cannot: it
// takes the last of two equal keys in silence, and copies what it hands out. Its validity check comes first
// (checkJSON), so that the walk below meets only well-formed text and needs no errors of its own.

// checkJSON says what keeps document from being JSON (RFC 8259).
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

// eachMember calls visit for every member of a JSON object in order, with its decoded key and the bytes of its value.
// The value must have passed checkJSON. Errors: *domain.Invalid when it is no object or has a key twice, and visit's.
func eachMember(field string, value []byte, visit func(key string, value []byte) error) error {
	at := skipSpace(value, 0)
	if value[at] != '{' {
		return &domain.Invalid{Field: field, Reason: "must be a JSON object"}
	}
	seen := make(map[string]struct{})
	for at = skipSpace(value, at+1); value[at] != '}'; {
		end := valueEnd(value, at)
		key, err := decodeString(field, value[at:end])
		if err != nil {
			return err
		}
		if _, twice := seen[key]; twice {
			return &domain.Invalid{Field: member(field, key), Reason: "is given twice"}
		}
		seen[key] = struct{}{}
		at = skipSpace(value, skipSpace(value, end)+1) // over the colon
		end = valueEnd(value, at)
		if err := visit(key, value[at:end]); err != nil {
			return err
		}
		at = skipSpace(value, end)
		if value[at] == ',' {
			at = skipSpace(value, at+1)
		}
	}
	return nil
}

// eachElement calls visit for the bytes of every element of the JSON array that begins at value[0].
func eachElement(value []byte, visit func(element []byte) error) error {
	for at := skipSpace(value, 1); value[at] != ']'; {
		end := valueEnd(value, at)
		if err := visit(value[at:end]); err != nil {
			return err
		}
		at = skipSpace(value, end)
		if value[at] == ',' {
			at = skipSpace(value, at+1)
		}
	}
	return nil
}

// valueEnd gives the index after the value that begins at doc[at].
func valueEnd(doc []byte, at int) int {
	depth := 0
	for {
		switch doc[at] {
		case '"':
			at = stringEnd(doc, at)
		case '{', '[':
			depth++
			at++
		case '}', ']':
			depth--
			at++
		default: // a number or literal; inside a container also commas, colons and space
			for at++; at < len(doc) && !delimits(doc[at]); {
				at++
			}
		}
		if depth == 0 {
			return at
		}
	}
}

// stringEnd gives the index after the string that begins at doc[at].
func stringEnd(doc []byte, at int) int {
	for at++; doc[at] != '"'; at++ {
		if doc[at] == '\\' {
			at++
		}
	}
	return at + 1
}

func delimits(c byte) bool {
	switch c {
	case ' ', '\t', '\r', '\n', ',', ':', '"', '{', '}', '[', ']':
		return true
	default:
		return false
	}
}

func skipSpace(doc []byte, at int) int {
	for at < len(doc) && (doc[at] == ' ' || doc[at] == '\t' || doc[at] == '\r' || doc[at] == '\n') {
		at++
	}
	return at
}

// decodeString gives the text of a JSON string. Invalid UTF-8 is refused, since decoding would replace it silently.
func decodeString(field string, value []byte) (string, error) {
	if value[0] != '"' {
		return "", &domain.Invalid{Field: field, Reason: "must be a string"}
	}
	if !utf8.Valid(value) {
		return "", &domain.Invalid{Field: field, Reason: "must be valid UTF-8"}
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return string(value[1 : len(value)-1]), nil
	}
	var text string
	if err := json.Unmarshal(value, &text); err != nil {
		return "", &domain.Invalid{Field: field, Reason: err.Error()}
	}
	return text, nil
}

// maxShownKey bounds, in bytes, how much of a client's key an error repeats.
const maxShownKey = 100

// member names a member for an error: "metadata.timeout".
func member(field, key string) string {
	if len(key) > maxShownKey {
		key = key[:maxShownKey] + "..."
	}
	if field == bodyField {
		return key
	}
	return field + "." + key
}
