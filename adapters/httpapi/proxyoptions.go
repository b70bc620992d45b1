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

// Fields that begin so speak to the gateway, and are not forwarded. Names are those of net/http; shownPrefix is how
// people write it.
const (
	optionPrefix = "X-Openhqm-"
	shownPrefix  = "X-OpenHQM-"
	labelPrefix  = "Label-" // after optionPrefix; the rest is the label's name, in lower case since fields have none
)

// optionMembers are the members of metadata that a request on the proxy path can say, by the fields that say them. It
// has no metadata; endpoint, method, path and query are its own.
var optionMembers = map[string]string{
	"Timeout":      "timeout",
	"Priority":     "priority",
	"Delay":        "delay",
	"Not-Before":   "not_before",
	"Max-Attempts": "max_attempts",
}

// extractOptions moves what speaks to the gateway from the header to s. Fields that nobody knows are dropped too, as they
// can only be meant for a gateway, and so are aliases (see domain.FoldName), which a backend could take for ours.
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

// single gives the value of a field that may be there once.
func single(field string, values []string) (string, error) {
	if len(values) != 1 {
		return "", &domain.Invalid{Field: field, Reason: reasonTwice}
	}
	if !utf8.ValidString(values[0]) {
		return "", &domain.Invalid{Field: field, Reason: reasonUTF8}
	}
	return values[0], nil
}

// asMember gives the text of a field as metadata would have it: what is a JSON number as it is, and else as a string.
func asMember(text string) []byte {
	number := text != "" && strings.IndexByte("-0123456789", text[0]) >= 0
	if number && json.Valid([]byte(text)) {
		return []byte(text)
	}
	return asString(text)
}

// asString gives a text that is UTF-8 as a JSON string.
func asString(text string) []byte {
	value, _ := json.Marshal(text) // a string can always be written
	return value
}

// inFields gives an error about a member of metadata as one about the field that says the same.
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
