package httpapi

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/openhqm/openhqm/domain"
	"github.com/openhqm/openhqm/domain/envelope"
)

// proxyPath is the prefix of proxied requests: /proxy/{endpoint}/{path...}.
const proxyPath = "/proxy/"

// target is what a proxied request is for.
type target struct {
	endpoint    string
	path, query string // as sent; the path of an empty query ends with domain.EmptyQuery
}

// sentTarget returns path and query as they were sent. Those of net/http are decoded, and would not always be encoded
// the same way again. It returns false when the request names no resource: "*", or the authority of a CONNECT.
func sentTarget(r *http.Request) (path, query string, ok bool) {
	rest := r.RequestURI
	if !strings.HasPrefix(rest, "/") { // servers accept the absolute form too (RFC 9112 section 3.2.2)
		_, rest, ok = strings.Cut(rest, "://")
		if !ok {
			return "", "", false
		}
		rest = strings.TrimLeftFunc(rest, func(c rune) bool { return c != '/' && c != '?' })
	}
	path, query, _ = strings.Cut(rest, "?")
	return path, query, true
}

// proxyTarget returns the target of a request on the proxy path. A path without an endpoint is errNoRoute.
func proxyTarget(r *http.Request) (target, error) {
	path, query, _ := sentTarget(r)
	segment, rest, more := strings.Cut(strings.TrimPrefix(path, proxyPath), "/")
	if more {
		rest = "/" + rest
	}
	endpoint, err := url.PathUnescape(segment)
	if err != nil || endpoint == "" {
		return target{}, errNoRoute
	}
	rest += emptyQuery(r, query)
	return target{endpoint, rest, query}, checkLength(rest, query)
}

// emptyQuery returns what the path of a request gets appended whose query was sent, but empty.
func emptyQuery(r *http.Request, query string) string {
	if query == "" && strings.HasSuffix(r.RequestURI, "?") {
		return domain.EmptyQuery
	}
	return ""
}

// wholeTarget returns the target of a request on an address that is one endpoint.
func wholeTarget(r *http.Request, endpoint string) (target, error) {
	path, query, ok := sentTarget(r)
	if !ok {
		return target{}, &domain.Invalid{Field: "path", Reason: "is needed (RFC 9112 sections 3.2.1 and 3.2.2)"}
	}
	path += emptyQuery(r, query)
	return target{endpoint, path, query}, checkLength(path, query)
}

// checkLength rejects a path or query that a message cannot carry. ports.Submitter checks the rest.
func checkLength(path, query string) error {
	for _, part := range []struct{ field, text string }{{"path", path}, {"query", query}} {
		if len(part.text) > envelope.MaxTarget {
			reason := fmt.Sprintf("may have at most %d bytes", envelope.MaxTarget)
			return &domain.Invalid{Field: part.field, Reason: reason}
		}
		if !utf8.ValidString(part.text) {
			return &domain.Invalid{Field: part.field, Reason: "must be percent-encoded (RFC 3986 section 2.1)"}
		}
	}
	return nil
}
