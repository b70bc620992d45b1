package domain

import (
	"net/url"
	"strings"
)

// CheckPath returns what is wrong with a percent-encoded path that is to be appended to an endpoint's URL, or "". It
// refuses dot segments, encoded or not: they would lead out of the path that the endpoint is configured with.
func CheckPath(path string) string {
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
