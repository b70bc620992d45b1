package httpapi

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/ports"
)

// Fields with this prefix are for the gateway and are not forwarded. optionPrefix is in the form of net/http,
// shownPrefix in that of the documentation.
const (
	optionPrefix = "X-Openhqm-"
	shownPrefix  = "X-OpenHQM-"
	labelPrefix  = "Label-" // after optionPrefix; the rest is the label's name in lower case, as field names have no case
)

// optionMembers are the members of metadata that a proxied request sets by fields. Its endpoint, method, path and query
// are those of the request itself.
var optionMembers = map[string]string{
	"Timeout":      "timeout",
	"Priority":     "priority",
	"Delay":        "delay",
	"Not-Before":   "not_before",
	"Max-Attempts": "max_attempts",
}

// extractOptions moves the fields for the gateway from the header to s. It drops unknown ones, which can only be meant
// for a gateway, and aliases (see domain.FoldName), which a backend could mistake for ours.
func extractOptions(s *ports.Submission) error {
	labels := make(map[string]string)
	for _, field := range slices.Sorted(maps.Keys(s.Header)) {
		if !strings.HasPrefix(domain.FoldName(field), optionPrefix) {
			continue
		}
		values := s.Header[field]
		delete(s.Header, field)
		name, ours := strings.CutPrefix(field, optionPrefix)
		if !ours {
			continue
		}
		var err error
		if key, known := optionMembers[name]; known {
			err = readOption(s, shownPrefix+name, key, values)
		} else if label, isLabel := strings.CutPrefix(name, labelPrefix); isLabel && label != "" {
			err = readLabel(labels, shownPrefix+name, strings.ToLower(label), values)
		}
		if err != nil {
			return err
		}
	}
	if len(labels) > 0 {
		s.Labels = labels
	}
	return nil
}

func readOption(s *ports.Submission, field, key string, values []string) error {
	text, err := single(field, values)
	if err != nil {
		return err
	}
	return parseOption(s, field, key, asMember(text))
}

func readLabel(labels map[string]string, field, key string, values []string) error {
	text, err := single(field, values)
	if err != nil {
		return err
	}
	return parseLabel(labels, field, key, asString(text))
}

// single returns the value of a field that may be present once.
func single(field string, values []string) (string, error) {
	if len(values) != 1 {
		return "", &domain.Invalid{Field: field, Reason: reasonTwice}
	}
	if !utf8.ValidString(values[0]) {
		return "", &domain.Invalid{Field: field, Reason: reasonUTF8}
	}
	return values[0], nil
}

// asMember returns the text of a field as a member of metadata: a JSON number as it is, anything else as a string.
func asMember(text string) []byte {
	number := text != "" && strings.IndexByte("-0123456789", text[0]) >= 0
	if number && json.Valid([]byte(text)) {
		return []byte(text)
	}
	return asString(text)
}

// asString returns a UTF-8 text as a JSON string.
func asString(text string) []byte {
	value, _ := json.Marshal(text) // never fails for a string
	return value
}

// inFields turns an error about a member of metadata into one about the field that sets it.
func inFields(err error) error {
	invalid, ok := errors.AsType[*domain.Invalid](err)
	if !ok {
		return err
	}
	key, ok := strings.CutPrefix(invalid.Field, "metadata.")
	if !ok {
		return err
	}
	for name, member := range optionMembers {
		if member == key {
			key = shownPrefix + name
			break
		}
	}
	return &domain.Invalid{Field: key, Reason: invalid.Reason}
}
