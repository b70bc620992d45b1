package envelope

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope/rawjson"
)

// appendHeader writes a field's value as a string, or a list of strings when the field is repeated. Without fields it
// writes nothing.
func appendHeader(w *rawjson.Writer, header domain.Header) {
	if len(header) == 0 {
		return
	}
	w.Open(keyHeaders)
	for _, name := range sortedKeys(header) {
		values := header[name]
		if !isToken(name) || !allFieldValues(values) {
			continue
		}
		w.Values(name, values)
	}
	w.End()
}

func allFieldValues(values []string) bool {
	return !slices.ContainsFunc(values, func(value string) bool { return !isFieldValue(value) })
}

// fields is a header while it is read, with what counts against its limits.
type fields struct {
	header      domain.Header
	lines, size int
}

// read adds {name: value | [values]}. Spellings of one field that differ in case become one repeated field.
func (f *fields) read(value []byte) (reason string) {
	if value[0] != '{' {
		return reasonObject
	}
	for key, value := range rawjson.Members(value) {
		if reason := f.readField(string(key), value); reason != "" {
			return reason
		}
	}
	return ""
}

func (f *fields) readField(name string, value []byte) (reason string) {
	if !isToken(name) {
		return "a name is not a token (RFC 9110 section 5.1)"
	}
	if value[0] != '[' {
		return f.readLine(name, value)
	}
	for element := range rawjson.Elements(value) {
		if reason := f.readLine(name, element); reason != "" {
			return reason
		}
	}
	return ""
}

func (f *fields) readLine(name string, value []byte) (reason string) {
	text, ok := rawjson.Text(value)
	switch {
	case !ok:
		return shown(name) + " is neither a string nor a list of strings"
	case !isFieldValue(text):
		return shown(name) + " " + reasonFieldValue
	}
	return f.add(name, text)
}

// add appends one field line.
func (f *fields) add(name string, value []byte) (reason string) {
	f.lines++
	f.size += len(name) + len(value)
	if f.lines > MaxHeaderFields || f.size > MaxHeaderBytes {
		return fmt.Sprintf("has more than %d fields or %d bytes", MaxHeaderFields, MaxHeaderBytes)
	}
	f.header.Add(name, string(value))
	return ""
}

const reasonFieldValue = "has a character that is not allowed in a field value (RFC 9110 section 5.5)"

// shown returns as much of a field's name as an error repeats.
func shown(name string) string { return name[:min(len(name), 100)] }

// isToken reports whether a field name or method is a token (RFC 9110 section 5.6.2).
func isToken(text string) bool {
	for i := range len(text) {
		c := text[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		digit := c >= '0' && c <= '9'
		if !letter && !digit && strings.IndexByte("!#$%&'*+-.^_`|~", c) < 0 {
			return false
		}
	}
	return text != ""
}

// isFieldValue reports whether text has no control characters but tabs (RFC 9110 section 5.5).
func isFieldValue[T string | []byte](text T) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
