package httpbackend

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// Endpoint says where a backend is and how to call it. fmt, slog and JSON print only its name: the rest may hold
// secrets.
type Endpoint struct {
	Name   string
	URL    string        // http or https, without userinfo and fragment; paths and queries are appended to it
	Header domain.Header // sent with every request, in place of the client's fields of the same names
	Auth   Auth          // in place of such fields in Header

	// TLS says how to verify the backend and how to authenticate to it; only with https. nil: the system's authorities. It
	// is copied. Without a ServerName the host of the URL is verified.
	TLS *tls.Config

	DialTimeout   time.Duration // for a new connection: name lookup, connecting and the TLS handshake
	HeaderTimeout time.Duration // from the last byte of the request to the header of the response; 0: no limit
}

// Format prints the name, whatever the verb.
func (e Endpoint) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, e.Name) }

// MarshalText returns the name.
func (e Endpoint) MarshalText() ([]byte, error) { return []byte(e.Name), nil }

// endpoint is an Endpoint ready for use.
type endpoint struct {
	base    url.URL // scheme and host
	path    string  // escaped, as configured
	query   string  // raw, as configured
	address string  // host:port, for the log
	own     atomic.Pointer[ownFields]
	pool    *pool
}

// ownFields are what we send in place of the client's fields. They do not change; Renew makes others.
type ownFields struct {
	fixed domain.Header   // static headers and auth
	names map[string]bool // folded names of fixed and of fields that we always set
}

func newEndpoint(e *Endpoint, maxIdle int) (*endpoint, error) {
	base, err := parseURL(e.URL)
	if err != nil {
		return nil, err
	}
	own, err := newOwnFields(e)
	if err != nil {
		return nil, err
	}
	switch {
	case base.Scheme == "http" && e.TLS != nil:
		return nil, errors.New("url: TLS is configured, so it must begin with https://")
	case e.DialTimeout <= 0:
		return nil, errors.New("the dial timeout must be positive")
	case e.HeaderTimeout < 0:
		return nil, errors.New("the header timeout must not be negative")
	}
	ep := &endpoint{
		base:    url.URL{Scheme: base.Scheme, Host: base.Host},
		path:    base.EscapedPath(),
		query:   base.RawQuery,
		address: addressOf(base),
		pool:    newPool(e, base.Hostname(), maxIdle),
	}
	ep.own.Store(own)
	return ep, nil
}

// parseURL parses the URL of an endpoint. Its errors never repeat the URL, because that may hold a password.
func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, errors.New("url: cannot be parsed")
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, errors.New("url: must begin with http:// or https://")
	case u.Hostname() == "":
		return nil, errors.New("url: has no host")
	case u.User != nil:
		return nil, errors.New("url: must not hold a username or password, use auth of type basic")
	case strings.Contains(text, "#"):
		return nil, errors.New("url: must not have a fragment")
	case domain.CheckQuery(u.RawQuery) != "":
		return nil, errors.New("url: the query " + domain.CheckQuery(u.RawQuery))
	default:
		return u, nil
	}
}

func addressOf(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// newOwnFields returns the fields that clients cannot set: the endpoint's static headers and auth, in the operator's
// spelling, because some backends look for it, and those that identify our call. It refuses the fields that a client
// may not set either: those of the connection or the message (RFC 9110 section 7.6.1), and Host, which is in the URL.
func newOwnFields(e *Endpoint) (*ownFields, error) {
	own := &ownFields{fixed: make(domain.Header), names: map[string]bool{headerID: true, headerAttempt: true}}
	name, value, err := e.Auth.field()
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	if name != "" {
		own.set(name, []string{value})
	}
	byAuth := domain.FoldName(name)
	for _, name := range slices.Sorted(maps.Keys(e.Header)) {
		folded := domain.FoldName(name)
		if folded == byAuth {
			continue
		}
		if own.names[folded] && folded != headerID && folded != headerAttempt {
			return nil, fmt.Errorf("header %s: is configured twice", name)
		}
		own.set(name, e.Header[name])
	}
	if err := checkFields(own.fixed); err != nil {
		return nil, err
	}
	sendable := own.fixed.Sendable()
	for name := range own.fixed {
		if !sendable.Has(name) {
			return nil, fmt.Errorf("header %s: cannot be set, because it belongs to the connection or the message", name)
		}
	}
	return own, nil
}

// set adds a field. Those that we look at later have their canonical names.
func (o *ownFields) set(name string, values []string) {
	canonical := http.CanonicalHeaderKey(name)
	if added[canonical] || canonical == headerUserAgent || canonical == headerID || canonical == headerAttempt {
		name = canonical
	}
	o.fixed[name] = values
	o.names[domain.FoldName(name)] = true
}

// target appends path and query so that their bytes are sent unchanged, even an empty query. net/http sends URL.Opaque
// unchanged, but would take a leading "//" in it for a host. Such a path, which is rare, goes through RawPath, which
// net/http sends unchanged if it conforms to RFC 3986. Only bytes that do not are percent-encoded, which means the same
// path in that RFC.
func (e *endpoint) target(path, query string) *url.URL {
	u := e.base
	path, u.ForceQuery = strings.CutSuffix(path, domain.EmptyQuery)
	full := e.path
	if path != "" {
		full = strings.TrimSuffix(e.path, "/") + path
	}
	switch {
	case full == "":
		u.Opaque = "/"
	case strings.HasPrefix(full, "//"):
		u.RawPath = encodeInvalid(full)
		u.Path, _ = url.PathUnescape(u.RawPath) // both parts were checked
	default:
		u.Opaque = full
	}
	u.RawQuery = e.query
	if e.query != "" && query != "" {
		u.RawQuery += "&"
	}
	u.RawQuery += query
	return &u
}

// encodeInvalid percent-encodes the bytes that net/url does not accept in a RawPath, and no others. With one of them in
// it net/url would encode the decoded path again, where "%2F" is "/": another resource.
func encodeInvalid(path string) string {
	var out strings.Builder
	for i := range len(path) {
		c := path[i : i+1]
		if c != "%" { // which begins a valid triplet: the path was checked
			c = (&url.URL{Path: c, RawPath: c}).EscapedPath() // unchanged where it is valid
		}
		out.WriteString(c)
	}
	return out.String()
}
