// Package rawjson reads and writes JSON documents without decoding their values: an embedded payload keeps every byte,
// including its spaces, its "<&>", its 1e400 and its duplicate keys. The reading functions expect a document that
// passed Valid or json.Valid, so they return no errors.
package rawjson

import (
	"bytes"
	"encoding/json"
	"iter"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// Valid reports whether document is JSON in UTF-8 (RFC 8259 section 8.1). encoding/json does not check for UTF-8. It
// refuses documents that are nested more than 10,000 levels deep.
func Valid(document []byte) bool {
	return utf8.Valid(document) && json.Valid(document)
}

// Nested reports whether the objects and lists of a valid document are nested more than levels deep.
func Nested(document []byte, levels int) bool {
	if bytes.Count(document, []byte{'{'})+bytes.Count(document, []byte{'['}) <= levels {
		return false // nearly every document: not even as many brackets
	}
	depth := 0
	for at := 0; at < len(document); {
		switch document[at] {
		case '"':
			at = stringEnd(document, at)
			continue
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
		if depth > levels {
			return true
		}
		at++
	}
	return false
}

// IsNull reports whether a value is null.
func IsNull(value []byte) bool { return string(value) == "null" }

// Members returns an iterator over the members of a JSON object in order, equal keys included: the decoded key and the
// bytes of the value, which share memory with object. The object must be valid and have no leading space.
func Members(object []byte) iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for at := skipSpace(object, 1); object[at] != '}'; {
			end := stringEnd(object, at)
			key, _ := Text(object[at:end])
			at = skipSpace(object, skipSpace(object, end)+1) // over the colon
			end = valueEnd(object, at)
			if !yield(key, object[at:end]) {
				return
			}
			at = nextItem(object, end)
		}
	}
}

// Elements returns an iterator over the bytes of every element of a JSON list, which share memory with list. The list
// must be valid and have no leading space.
func Elements(list []byte) iter.Seq[[]byte] {
	return func(yield func(element []byte) bool) {
		for at := skipSpace(list, 1); list[at] != ']'; {
			end := valueEnd(list, at)
			if !yield(list[at:end]) {
				return
			}
			at = nextItem(list, end)
		}
	}
}

// Text returns the text of a valid JSON string, and false for any other value. Text without escapes shares memory with
// value. Half a surrogate pair becomes U+FFFD. A string that is not UTF-8, which Valid excludes, is returned undecoded,
// so that the caller can detect it.
func Text(value []byte) ([]byte, bool) {
	if value[0] != '"' {
		return nil, false
	}
	quoted := value[1 : len(value)-1]
	if bytes.IndexByte(quoted, '\\') < 0 || !utf8.Valid(quoted) {
		return quoted, true
	}
	var text string
	err := json.Unmarshal(value, &text)
	return []byte(text), err == nil
}

// HalfSurrogate reports whether a string in a valid document has an escaped half of a surrogate pair. Such a string is
// not Unicode text (RFC 8259 section 8.2).
func HalfSurrogate(document []byte) bool {
	for {
		at := bytes.IndexByte(document, '\\') // outside of strings there are none
		if at < 0 {
			return false
		}
		document = document[at:]
		first := escapedUnit(document)
		if !utf16.IsSurrogate(first) {
			document = document[2:]
			continue
		}
		if utf16.DecodeRune(first, escapedUnit(document[len(`\ud83d`):])) == utf8.RuneError {
			return true
		}
		document = document[len(`\ud83d\ude00`):]
	}
}

// escapedUnit returns the UTF-16 code unit that text begins with as an escape sequence, or 0.
func escapedUnit(text []byte) rune {
	if len(text) < len(`\ud83d`) || text[0] != '\\' || text[1] != 'u' {
		return 0
	}
	unit, _ := strconv.ParseUint(string(text[2:6]), 16, 16) // 0 for what is none
	return rune(unit)
}

// nextItem returns the index of the next member or element after the value that ended at doc[at], or of the closing
// bracket.
func nextItem(doc []byte, at int) int {
	at = skipSpace(doc, at)
	if doc[at] == ',' {
		at = skipSpace(doc, at+1)
	}
	return at
}

// valueEnd returns the index after the value that begins at doc[at].
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

// stringEnd returns the index after the string that begins at doc[at].
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
	for at < len(doc) && isSpace(doc[at]) {
		at++
	}
	return at
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\r' || c == '\n' }
