package domain

import "strings"

// HeaderVia is the field in which each gateway names itself, so that loops can be found (RFC 9110 section 7.6.3).
const HeaderVia = "Via"

// PassedThrough reports whether Via names a gateway with this pseudonym.
func (h Header) PassedThrough(pseudonym string) bool {
	for _, value := range h[HeaderVia] {
		for hop := range strings.SplitSeq(value, ",") {
			// received-protocol RWS received-by [RWS comment]
			if words := strings.Fields(hop); len(words) > 1 && words[1] == pseudonym {
				return true
			}
		}
	}
	return false
}
