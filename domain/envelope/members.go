package envelope

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
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

// readObject reads the known members of a valid object, and adds the others to ignored. All names have prefix before
// them.
func readObject[T any](prefix string, object []byte, known []member[T], into *T, ignored *names) error {
	var seen uint32 // one bit per known member
	for key, value := range rawjson.Members(object) {
		i := slices.IndexFunc(known, func(m member[T]) bool { return m.name == string(key) })
		if i < 0 {
			ignored.add(prefix + string(key))
			continue
		}
		reason := "appears twice"
		if bit := uint32(1) << i; seen&bit == 0 {
			seen |= bit
			reason = known[i].value(into, value)
		}
		if reason != "" {
			return &domain.Invalid{Field: prefix + known[i].name, Reason: reason}
		}
	}
	return nil
}

// names are of members that were ignored, as much of them as a log line or an error repeats.
type names []string

const (
	maxNames = 8
	maxName  = 64 // bytes
)

func (n *names) add(name string) {
	name = strings.ToValidUTF8(name[:min(len(name), maxName)], "")
	if len(*n) < maxNames && !slices.Contains(*n, name) {
		*n = append(*n, name)
	}
}

// identify returns the id that a document gives its request, although the rest of it may be bad. It returns none for a
// document that is not a JSON object, has no valid id, or has more than one.
func identify(document []byte) (id domain.ID) {
	object := bytes.TrimSpace(document)
	if len(object) == 0 || object[0] != '{' || !rawjson.Valid(object) {
		return ""
	}
	found := false
	for key, value := range rawjson.Members(object) {
		if string(key) != keyID {
			continue
		}
		if found {
			return ""
		}
		found = true
		readID(&id, value)
	}
	return id
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

// readID reads a valid id, and reports whether it is one.
func readID(into *domain.ID, value []byte) bool {
	raw, ok := rawjson.Text(value)
	if !ok || len(raw) > maxShortText || !domain.ID(raw).Valid() {
		return false
	}
	*into = domain.ID(raw)
	return true
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
func readSpan(into *time.Duration, value []byte, shortest time.Duration) (reason string) {
	var length time.Duration
	if value[0] == '"' {
		var written string
		if reason := readText(&written, value, maxShortText); reason != "" {
			return reason
		}
		parsed, err := time.ParseDuration(written)
		if err != nil {
			return reasonSpan(shortest)
		}
		length = parsed.Round(time.Millisecond)
	} else {
		seconds, err := strconv.ParseFloat(string(value), 64)
		if err != nil || math.Abs(seconds) > maxSpan.Seconds() {
			return reasonSpan(shortest)
		}
		// Not by way of nanoseconds: in a timeout of some weeks a float64 has not enough digits for them.
		length = time.Duration(math.Round(seconds*1000)) * time.Millisecond
	}
	if length < shortest || length > maxSpan {
		return reasonSpan(shortest)
	}
	*into = length
	return ""
}

func reasonSpan(shortest time.Duration) string {
	return fmt.Sprintf(`must be a number of seconds, or a duration such as "90s", from %v to 100 years`, shortest)
}

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
