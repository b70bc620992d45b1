package domain

import (
	"net/url"
	"strings"
)

// CheckPath says what is wrong with an escaped path to append to an endpoint's URL, or "". Dot segments, encoded or
// not, are refused: they would let a client climb out of the path the endpoint was configured with.
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
	// Some servers take a backslash for a slash, and cut path parameters (";...") off a segment before they resolve it.
	for segment := range strings.SplitSeq(strings.ReplaceAll(decoded, `\`, "/"), "/") {
		segment, _, _ = strings.Cut(segment, ";")
		if segment == "." || segment == ".." {
			return "must not have dot segments"
		}
	}
	return ""
}

// CheckQuery says what is wrong with a raw query, or "".
func CheckQuery(query string) string {
	if strings.ContainsFunc(query, forbiddenInTarget) || strings.Contains(query, "#") {
		return "must be percent-encoded (RFC 3986 section 3.4)"
	}
	return ""
}

// forbiddenInTarget tells the characters that would break a request line.
func forbiddenInTarget(r rune) bool { return r <= ' ' || r == 0x7f }
