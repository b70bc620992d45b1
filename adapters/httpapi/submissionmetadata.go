package httpapi

import (
	"fmt"
	"math"
	"strconv"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
	"github.com/openhqm/openhqm/ports"
)

// Limits of metadata, in addition to those of the envelope.
const (
	maxTextShort   = 64 // bytes of durations and times
	maxSpanSeconds = math.MaxInt64 / int64(time.Second)
)

// parseMetadata reads the members of metadata into s.
func parseMetadata(field string, value []byte, s *ports.Submission) error {
	return eachMember(field, value, func(key string, value []byte) error {
		return parseOption(s, member(field, key), key, value)
	})
}

// parseOption reads one member of metadata. Errors call it field.
func parseOption(s *ports.Submission, field, key string, value []byte) (err error) {
	switch key {
	case "endpoint":
		s.Endpoint, err = parseText(field, value, envelope.MaxEndpoint)
	case "method":
		s.Method, err = parseMethod(field, value)
	case "path":
		s.Path, err = parseText(field, value, envelope.MaxTarget)
	case "query":
		s.Query, err = parseQuery(field, value)
	case "timeout":
		s.Timeout, err = parseTimeout(field, value)
	case "priority":
		s.Priority, err = parsePriority(field, value)
	case "delay":
		s.Delay, err = parseSpan(field, value)
	case "not_before":
		s.NotBefore, err = parseTime(field, value)
	case "max_attempts":
		s.MaxAttempts, err = parseInteger(field, value, 1, envelope.MaxAttempts)
	case "labels":
		s.Labels, err = parseLabels(field, value)
	default:
		err = unknownField(field)
	}
	return err
}

func parseText(field string, value []byte, limit int) (string, error) {
	text, err := decodeString(field, value)
	if err == nil && len(text) > limit {
		return "", &domain.Invalid{Field: field, Reason: fmt.Sprintf("may have at most %d bytes", limit)}
	}
	return text, err
}

// parseMethod keeps the case: methods are case-sensitive (RFC 9110 9.1).
func parseMethod(field string, value []byte) (string, error) {
	method, err := parseText(field, value, envelope.MaxMethod)
	if err == nil && !httpguts.ValidHeaderFieldName(method) { // both are tokens (RFC 9110 5.6.2)
		return "", &domain.Invalid{Field: field, Reason: "is not a method (RFC 9110 9.1)"}
	}
	return method, err
}

func parseQuery(field string, value []byte) (string, error) {
	query, err := parseText(field, value, envelope.MaxTarget)
	if err == nil && query != "" && query[0] == '?' {
		return "", &domain.Invalid{Field: field, Reason: `must not begin with "?"`}
	}
	return query, err
}

func parseTimeout(field string, value []byte) (time.Duration, error) {
	timeout, err := parseSpan(field, value)
	if err == nil && timeout == 0 {
		return 0, &domain.Invalid{Field: field, Reason: "must be greater than 0"}
	}
	return timeout, err
}

// parseSpan reads a duration that is not negative: a number of seconds, or a text such as "90s".
func parseSpan(field string, value []byte) (time.Duration, error) {
	var span time.Duration
	if value[0] == '"' {
		text, err := parseText(field, value, maxTextShort)
		if err != nil {
			return 0, err
		}
		if span, err = time.ParseDuration(text); err != nil {
			return 0, &domain.Invalid{Field: field, Reason: spanForm}
		}
	} else {
		seconds, err := strconv.ParseFloat(string(value), 64)
		if err != nil || math.Abs(seconds) >= float64(maxSpanSeconds) {
			return 0, &domain.Invalid{Field: field, Reason: spanForm}
		}
		span = time.Duration(math.Round(seconds * float64(time.Second)))
	}
	if span < 0 {
		return 0, &domain.Invalid{Field: field, Reason: "must not be negative"}
	}
	return span, nil
}

const spanForm = `must be a number of seconds, or a duration such as "90s", "15m" or "1h30m"`

func parseTime(field string, value []byte) (time.Time, error) {
	text, err := parseText(field, value, maxTextShort)
	if err != nil {
		return time.Time{}, err
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, &domain.Invalid{Field: field, Reason: "must be an RFC 3339 time"}
	}
	return at, nil
}

func parseInteger(field string, value []byte, lowest, highest int) (int, error) {
	number, err := strconv.Atoi(string(value))
	if err != nil || number < lowest || number > highest {
		reason := fmt.Sprintf("must be an integer from %d to %d", lowest, highest)
		return 0, &domain.Invalid{Field: field, Reason: reason}
	}
	return number, nil
}

// parsePriority reads an integer, or a word for one.
func parsePriority(field string, value []byte) (int, error) {
	if word, err := decodeString(field, value); err == nil {
		if priority, known := envelope.PriorityOf(word); known {
			return priority, nil
		}
	}
	return parseInteger(field, value, 0, envelope.MaxPriority)
}

func parseLabels(field string, value []byte) (map[string]string, error) {
	labels := make(map[string]string)
	err := eachMember(field, value, func(key string, value []byte) error {
		return parseLabel(labels, member(field, key), key, value)
	})
	return labels, err
}

// parseLabel adds one label. Errors call it field.
func parseLabel(labels map[string]string, field, key string, value []byte) error {
	if len(key) > envelope.MaxLabelKey {
		reason := fmt.Sprintf("has a name of more than %d bytes", envelope.MaxLabelKey)
		return &domain.Invalid{Field: field, Reason: reason}
	}
	if len(labels) == envelope.MaxLabels {
		reason := fmt.Sprintf("is one label too many; at most %d are allowed", envelope.MaxLabels)
		return &domain.Invalid{Field: field, Reason: reason}
	}
	text, err := parseText(field, value, envelope.MaxLabelValue)
	labels[key] = text
	return err
}
