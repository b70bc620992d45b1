package httpapi

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

const preferField = "Prefer"

// The preferences that we support (RFC 7240 sections 4.1 and 4.3). The first is the default.
const (
	preferAsync = "respond-async"
	preferWait  = "wait"
)

// preference says how a client prefers to be answered (RFC 7240).
type preference struct {
	wait    time.Duration // how long to hold the answer until the result is there; longestHold at most
	applied string        // for Preference-Applied; empty: no supported preference
}

// parsePrefer reads the Prefer fields of a request. Unknown and malformed preferences are ignored. Of a repeated one
// the first counts, even when malformed (RFC 7240 section 2). With both preferences the answer waits first (section
// 4.3).
func parsePrefer(fields []string) preference {
	if len(fields) == 0 {
		return preference{}
	}
	first := firstPreferences(fields)
	if value, given := first[preferWait]; given {
		if wait, ok := parseDeltaSeconds(value, longestHold); ok {
			return preference{wait: wait, applied: preferWait + "=" + strconv.Itoa(int(wait/time.Second))}
		}
	}
	if value, given := first[preferAsync]; given && value == "" { // by section 4.1 it has no value
		return preference{applied: preferAsync}
	}
	return preference{}
}

// firstPreferences returns the first value of each supported preference by name. An empty value counts as none. A
// malformed one is kept as it is, since no supported value has a quote.
func firstPreferences(fields []string) map[string]string {
	first := make(map[string]string, 2)
	for _, field := range fields {
		for rest, more := field, true; more; {
			var item string
			item, rest, more = cutUnquoted(rest, ',')
			name, value := splitPreference(item)
			if _, again := first[name]; again || !knownPreference(name) {
				continue
			}
			if content, ok := unquote(value); ok {
				value = content
			}
			first[name] = value
		}
	}
	return first
}

// splitPreference returns the name of a preference in lower case, and its value. It drops parameters, as the supported
// preferences have none.
func splitPreference(item string) (name, value string) {
	item, _, _ = cutUnquoted(item, ';')
	name, value, _ = strings.Cut(item, "=")
	return strings.ToLower(trimSpace(name)), trimSpace(value)
}

func knownPreference(name string) bool { return name == preferWait || name == preferAsync }

// unknownPreferences returns the Prefer fields without the supported preferences. A proxy forwards the field (RFC 7240
// section 2), but a backend would act again on what we act on, and answer us with a 202 of its own.
func unknownPreferences(fields []string) []string {
	var unknown []string
	for _, field := range fields {
		var kept []string
		for rest, more := field, true; more; {
			var item string
			item, rest, more = cutUnquoted(rest, ',')
			if name, _ := splitPreference(item); !knownPreference(name) {
				kept = append(kept, item)
			}
		}
		if len(kept) > 0 {
			unknown = append(unknown, trimSpace(strings.Join(kept, ",")))
		}
	}
	return unknown
}

// cutUnquoted cuts s at the first separator outside of quotes (RFC 9110 section 5.6.4).
func cutUnquoted(s string, separator byte) (before, after string, found bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '\\' && quoted:
			i++ // the escaped character does not end the quotes
		case s[i] == separator && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// trimSpace removes leading and trailing whitespace (RFC 9110 section 5.6.3).
func trimSpace(s string) string { return strings.Trim(s, " \t") }

// parseDeltaSeconds reads a number of seconds, however large (RFC 9110 section 10.2.3), and shortens it to the limit.
func parseDeltaSeconds(value string, limit time.Duration) (seconds time.Duration, ok bool) {
	number, err := strconv.ParseUint(value, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range it returns the largest number
		return 0, false
	}
	return time.Duration(min(number, uint64(limit/time.Second))) * time.Second, true
}
