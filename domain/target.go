package domain

import (
	"net/url"
	"strings"
	"unicode"
)

// EmptyQuery at the end of a path says that the target has a query, which is empty: some servers make a difference.
const EmptyQuery = "?"

// CheckPath returns what is wrong with a percent-encoded path that is to be appended to an endpoint's URL, or "". It
// refuses dot segments, encoded or not: they would lead out of the path that the endpoint is configured with. It
// refuses encoded control characters too: no resource needs them, and some servers end or split a path there. A "?" at
// the end is not part of the path; see Request.
func CheckPath(path string) string {
	path = strings.TrimSuffix(path, EmptyQuery)
	if path == "" {
		return ""
	}
	if path[0] != '/' {
		return `must begin with "/"`
	}
	if strings.ContainsFunc(path, forbiddenInTarget) || strings.ContainsAny(path, "?#") {
		return "must be percent-encoded (RFC 3986 section 3.3)"
	}
	decoded, err := url.PathUnescape(path)
	if err != nil {
		return "has a malformed percent-encoding"
	}
	if strings.ContainsFunc(decoded, unicode.IsControl) {
		return "must not have control characters"
	}
	// Some servers read a backslash as a slash, and cut path parameters (";...") off a segment before they resolve it.
	for segment := range strings.SplitSeq(strings.ReplaceAll(decoded, `\`, "/"), "/") {
		segment, _, _ = strings.Cut(segment, ";")
		if segment == "." || segment == ".." {
			return "must not have dot segments"
		}
	}
	return ""
}

// CheckQuery returns what is wrong with a raw query, or "".
func CheckQuery(query string) string {
	if strings.ContainsFunc(query, forbiddenInTarget) || strings.Contains(query, "#") {
		return "must be percent-encoded (RFC 3986 section 3.4)"
	}
	return ""
}

// forbiddenInTarget reports whether a character would break a request line.
func forbiddenInTarget(r rune) bool { return r <= ' ' || r == 0x7f }
