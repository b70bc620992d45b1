// Package domain holds the model of the gateway: requests, records, results, and the rules that depend on nothing but
// their arguments. It imports the standard library only. Times and random numbers are arguments.
package domain

// ID is the correlation id of a request: a UUIDv7 (RFC 9562) that we made, or the id of a foreign message.
type ID string

// maxIDLength bounds the ids of foreign messages; ours have 36 characters.
const maxIDLength = 128

// Valid reports whether the id matches [A-Za-z0-9._-]{1,128} and is neither "." nor "..", which mean something else at
// the end of a URL (RFC 3986 section 5.2.4).
func (id ID) Valid() bool {
	if len(id) == 0 || len(id) > maxIDLength || id == "." || id == ".." {
		return false
	}
	for i := range len(id) {
		c := id[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		digit := c >= '0' && c <= '9'
		if !letter && !digit && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}
