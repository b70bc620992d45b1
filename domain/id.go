// Package domain holds the words of the business: requests, records, results and the rules that need nothing but
// their arguments. It uses the standard library only; clocks and randomness are arguments.
package domain

// ID is the correlation id of a request: a UUIDv7 (RFC 9562) when we made it, or what a foreign message brought along.
type ID string

// maxIDLength bounds ids that others made; ours are 36 characters long.
const maxIDLength = 128

// Valid reports whether the id matches [A-Za-z0-9._-]{1,128}.
func (id ID) Valid() bool {
	if len(id) == 0 || len(id) > maxIDLength {
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
