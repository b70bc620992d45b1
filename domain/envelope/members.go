package envelope

import (
	"bytes"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope/rawjson"
)

// maxNesting is how deep a document may be nested to be embedded in another one, which may itself be embedded.
// encoding/json reads 10,000 levels.
const maxNesting = 9990

// embeddable reports whether a document can be embedded in another one unchanged.
func embeddable(document []byte) bool {
	return rawjson.Valid(document) && !rawjson.Nested(document, maxNesting)
}

// member is a known member of an object, and how to read it. Read gets its value without leading space, and returns
// what is wrong with that.
type member[T any] struct {
	name     string
	read     func(into *T, value []byte) (reason string)
	nullable bool // null is a value; otherwise it means "not given"
}

const (
	reasonObject = "must be a JSON object"
	reasonText   = "must be a string"
)

// open checks a whole document, and returns it without the space around it.
func open(document []byte, limit int) ([]byte, error) {
	switch {
	case len(document) > limit:
		return nil, &domain.Invalid{Field: "message", Reason: fmt.Sprintf("is longer than %d bytes", limit)}
	case !rawjson.Valid(document):
		return nil, &domain.Invalid{Field: "message", Reason: "is not valid JSON in UTF-8"}
	}
	document = bytes.TrimSpace(document)
	if document[0] != '{' {
		return nil, &domain.Invalid{Field: "message", Reason: reasonObject}
	}
	return document, nil
}

// readObject reads the known members of a valid object. Errors have prefix before their names.
func readObject[T any](prefix string, object []byte, known []member[T], into *T) error {
	var seen uint32 // one bit per known member
	for key, value := range rawjson.Members(object) {
		for i := range known {
			m := &known[i]
			if m.name != string(key) {
				continue
			}
			reason := "appears twice"
			if bit := uint32(1) << i; seen&bit == 0 {
				seen |= bit
				reason = m.value(into, value)
			}
			if reason != "" {
				return &domain.Invalid{Field: prefix + m.name, Reason: reason}
			}
		}
	}
	return nil
}

func (m *member[T]) value(into *T, value []byte) (reason string) {
	if rawjson.IsNull(value) && !m.nullable {
		return ""
	}
	return m.read(into, value)
}

// readText reads a string of at most limit bytes.
func readText(into *string, value []byte, limit int) (reason string) {
	raw, ok := rawjson.Text(value)
	switch {
	case !ok:
		return reasonText
	case len(raw) > limit:
		return fmt.Sprintf("is longer than %d bytes", limit)
	}
	*into = string(raw)
	return ""
}

// readID reads a valid id, and ignores anything else.
func readID(into *domain.ID, value []byte) {
	if raw, ok := rawjson.Text(value); ok && len(raw) <= maxShortText && domain.ID(raw).Valid() {
		*into = domain.ID(raw)
	}
}

// readInteger reads a whole number.
func readInteger(into *int, value []byte, lowest, highest int) (reason string) {
	number, err := strconv.Atoi(string(value))
	if err != nil || number < lowest || number > highest {
		return fmt.Sprintf("must be an integer from %d to %d", lowest, highest)
	}
	*into = number
	return ""
}

// readPriority reads an integer, or a word for one.
func readPriority(into *int, value []byte) (reason string) {
	var word string
	if value[0] == '"' && readText(&word, value, maxShortText) == "" {
		if priority, known := PriorityOf(word); known {
			*into = priority
			return ""
		}
	}
	return readInteger(into, value, 0, MaxPriority)
}

const (
	maxShortText = 128                        // bytes of ids, times, spans and endpoints
	maxSpan      = 100 * 365 * 24 * time.Hour // arithmetic is far from overflowing
)

// readSpan reads a length of time: a number of seconds, or a duration such as "90s". It rounds to milliseconds.
func readSpan(into *time.Duration, value []byte) (reason string) {
	var length time.Duration
	if value[0] == '"' {
		var written string
		if reason := readText(&written, value, maxShortText); reason != "" {
			return reason
		}
		parsed, err := time.ParseDuration(written)
		if err != nil {
			return reasonSpan
		}
		length = parsed.Round(time.Millisecond)
	} else {
		seconds, err := strconv.ParseFloat(string(value), 64)
		if err != nil || math.Abs(seconds) > maxSpan.Seconds() {
			return reasonSpan
		}
		// Not by way of nanoseconds: in a timeout of some weeks a float64 has not enough digits for them.
		length = time.Duration(math.Round(seconds*1000)) * time.Millisecond
	}
	if length <= 0 || length > maxSpan {
		return reasonSpan
	}
	*into = length
	return ""
}

const reasonSpan = `must be a number of seconds, or a duration such as "90s", from 1ms to 100 years`

// readTime reads an RFC 3339 time, rounded by round. A time without a zone is taken as UTC, because Python's
// utcnow().isoformat() writes such times.
func readTime(into *time.Time, value []byte, round func(time.Time) time.Time) (reason string) {
	var written string
	if reason := readText(&written, value, maxShortText); reason != "" {
		return reason
	}
	at, err := time.Parse(time.RFC3339, written)
	if err != nil {
		at, err = time.Parse("2006-01-02T15:04:05", written)
	}
	at = round(at.UTC())
	if err != nil || at.Year() < 1 || at.Year() > 9999 {
		return "must be an RFC 3339 time"
	}
	*into = at
	return ""
}

func floor(t time.Time) time.Time { return t.Truncate(time.Millisecond) }
