package httpapi

import (
	"errors"
	"strconv"
	"strings"
	"time"
)

const preferField = "Prefer"

// The preferences that we know (RFC 7240 sections 4.1 and 4.3). The first is what happens anyway.
const (
	preferAsync = "respond-async"
	preferWait  = "wait"
)

// preference says how a client prefers to be answered (RFC 7240).
type preference struct {
	wait    time.Duration // how long to hold the answer until the result is there; maxWait at most
	applied string        // for Preference-Applied; empty: nothing that we know was asked for
}

// parsePrefer reads the Prefer fields of a request. Preferences that are not known or malformed are ignored, and of
// those given twice the first counts, well-formed or not (RFC 7240 section 2). With both that we know, the answer waits
// first (section 4.3).
func parsePrefer(fields []string) preference {
	if len(fields) == 0 {
		return preference{}
	}
	first := firstPreferences(fields)
	if value, given := first[preferWait]; given {
		if wait, ok := parseDeltaSeconds(value, maxWait); ok {
			return preference{wait: wait, applied: preferWait + "=" + strconv.Itoa(int(wait/time.Second))}
		}
	}
	if value, given := first[preferAsync]; given && value == "" { // section 4.1 gives it no value
		return preference{applied: preferAsync}
	}
	return preference{}
}

// firstPreferences gives the first value of each preference that we know, by name. An empty value is none, and what is
// malformed stays as it is: none of the preferences has a value with a quote.
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

// splitPreference gives the name of a preference in lower case, and its value as it is. Parameters are left out: the
// preferences that we know have none.
func splitPreference(item string) (name, value string) {
	item, _, _ = cutUnquoted(item, ';')
	name, value, _ = strings.Cut(item, "=")
	return strings.ToLower(trimSpace(name)), trimSpace(value)
}

func knownPreference(name string) bool { return name == preferWait || name == preferAsync }

// unknownPreferences gives the Prefer fields without the preferences that we know, and otherwise as they are. RFC 7240
// section 2 has a proxy forward the field; but what it acts on itself a backend would do once more, and answer us with
// a 202 of its own.
func unknownPreferences(fields []string) []string {
	var others []string
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
			others = append(others, trimSpace(strings.Join(kept, ",")))
		}
	}
	return others
}

// cutUnquoted slices s around the first separator that stands outside of quotes (RFC 9110 section 5.6.4).
func cutUnquoted(s string, separator byte) (before, after string, found bool) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '\\' && quoted:
			i++ // what follows is not a quote that ends
		case s[i] == separator && !quoted:
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}

// trimSpace cuts off what RFC 9110 section 5.6.3 calls whitespace.
func trimSpace(s string) string { return strings.Trim(s, " \t") }

// parseDeltaSeconds reads a number of seconds, however large (RFC 9110 section 10.2.3), and cuts it to a limit of whole
// seconds.
func parseDeltaSeconds(value string, limit time.Duration) (seconds time.Duration, ok bool) {
	number, err := strconv.ParseUint(value, 10, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // out of range it gives the largest number there is
		return 0, false
	}
	return time.Duration(min(number, uint64(limit/time.Second))) * time.Second, true
}
