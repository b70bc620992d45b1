package httpbackend

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/openhqm/openhqm/domain"
)

// Endpoint is where a backend is and how to talk to it. It prints as its name alone: the rest may hold secrets.
type Endpoint struct {
	Name   string
	URL    string        // http or https, without userinfo and fragment; paths and queries are appended to it
	Header domain.Header // sent with every request, stronger than the client's
	Auth   Auth          // stronger than Header

	// TLS is how the backend is verified, and who we are there; only with https. nil: the system's authorities. It is
	// copied; without a ServerName the URL's host is asked for and verified.
	TLS *tls.Config

	DialTimeout   time.Duration // of a connection: name lookup, connecting, and the TLS handshake
	HeaderTimeout time.Duration // from the request's last byte to the response's header; 0: none of its own
}

// Format prints the name, whatever the verb.
func (e Endpoint) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, e.Name) }

// MarshalText gives the name.
func (e Endpoint) MarshalText() ([]byte, error) { return []byte(e.Name), nil }

// endpoint is an Endpoint ready for use.
type endpoint struct {
	base    url.URL         // scheme and host
	path    string          // escaped, as configured
	query   string          // raw, as configured
	address string          // host:port, to be shown
	fixed   domain.Header   // static headers and auth; never changed after New
	owned   map[string]bool // the names of fixed and of what we always set, folded
	pool    *pool
}

func newEndpoint(e *Endpoint, maxIdle int) (*endpoint, error) {
	base, err := parseURL(e.URL)
	if err != nil {
		return nil, err
	}
	fixed, err := fixedHeader(e)
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
	return &endpoint{
		base:    url.URL{Scheme: base.Scheme, Host: base.Host},
		path:    base.EscapedPath(),
		query:   base.RawQuery,
		address: addressOf(base),
		fixed:   fixed,
		owned:   ownedNames(fixed),
		pool:    newPool(e, base.Hostname(), maxIdle),
	}, nil
}

// parseURL never repeats the URL in its errors: one that is refused may hold a password.
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

// fixedHeader joins static headers and auth. What the header policy keeps from clients an endpoint may not set either:
// fields that belong to the connection or to the message (RFC 9110 section 7.6.1), and Host, which is the URL's.
func fixedHeader(e *Endpoint) (domain.Header, error) {
	header := make(domain.Header, len(e.Header)+1)
	for name, values := range e.Header {
		header.Set(name, values...)
	}
	name, value, err := e.Auth.field()
	if err != nil {
		return nil, fmt.Errorf("auth: %w", err)
	}
	if name != "" {
		header.Set(name, value)
	}
	if err := checkFields(header); err != nil {
		return nil, err
	}
	fixed := domain.HeaderPolicy{Forward: []string{"*"}}.Apply(header)
	for name := range header {
		if !fixed.Has(name) {
			return nil, fmt.Errorf("header %s: cannot be set, it belongs to the connection", name)
		}
	}
	return fixed, nil
}

// ownedNames are those that a client cannot give a value: the endpoint's, and the ones that name a call of ours.
func ownedNames(fixed domain.Header) map[string]bool {
	owned := map[string]bool{headerID: true, headerAttempt: true}
	for name := range fixed {
		owned[domain.FoldName(name)] = true
	}
	return owned
}

// target appends path and query so that the bytes on the wire are those given. URL.Opaque is sent as it stands, but a
// leading "//" in it would be taken for a host. Such a path, which an endpoint with a path of its own seldom gets, goes
// through RawPath. That is sent as it stands if it keeps to RFC 3986. Bytes that do not, and they alone, are
// percent-encoded: so that RFC writes the same path.
func (e *endpoint) target(path, query string) *url.URL {
	u := e.base
	full := e.path
	if path != "" {
		full = strings.TrimSuffix(e.path, "/") + path
	}
	switch {
	case full == "":
		u.Opaque = "/"
	case strings.HasPrefix(full, "//"):
		u.RawPath = encodeForeign(full)
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

// encodeForeign percent-encodes the bytes that net/url does not take in a RawPath, and leaves the others. With one of
// them in it net/url would encode the path anew from its decoded form, where "%2F" is "/": another resource.
func encodeForeign(path string) string {
	var out strings.Builder
	for i := range len(path) {
		c := path[i : i+1]
		if c != "%" { // it begins a triplet, or the path had been refused
			c = (&url.URL{Path: c, RawPath: c}).EscapedPath() // as it stands where it is valid
		}
		out.WriteString(c)
	}
	return out.String()
}
