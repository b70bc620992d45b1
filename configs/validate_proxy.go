package configs

import (
	"maps"
	"net"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"time"
)

func (p *Proxy) validate(v *validator) {
	names := p.names()
	if p.DefaultEndpoint != "" && !slices.Contains(names, p.DefaultEndpoint) {
		v.bad("proxy.default_endpoint", "must be empty or one of the endpoints: "+strings.Join(names, ", "))
	}
	for _, name := range p.ForwardHeaders {
		if name != "*" && !validHeaderPattern(name) {
			v.badValue("proxy.forward_headers", quote(name), `must be whole header names, or "*" for all`)
		}
	}
	for _, name := range p.StripHeaders {
		if !validHeaderPattern(name) {
			v.badValue("proxy.strip_headers", quote(name), "must be whole header names")
		}
	}
	between(v, "proxy.max_response_size", p.MaxResponseSize, 1, maxBody)
	oneOf(v, "proxy.forwarded", p.Forwarded, ForwardedOff, ForwardedX, ForwardedRFC7239)
	for _, name := range slices.Sorted(maps.Keys(p.Endpoints)) {
		endpoint := p.Endpoints[name]
		endpoint.validate(v, "proxy.endpoints."+name+".")
	}
}

// validateTransparent compares the listener with the others and with the endpoints.
func (c *Config) validateTransparent(v *validator) {
	const listen, endpoint = "proxy.transparent.listen", "proxy.transparent.endpoint"
	t, names := c.Proxy.Transparent, c.Proxy.names()
	switch {
	case t.Listen == "" && t.Endpoint == "":
		return
	case t.Listen == "":
		v.bad(listen, "is required with proxy.transparent.endpoint: host:port, for instance 127.0.0.1:8080")
	case !validListen(t.Listen):
		v.bad(listen, "must be empty or host:port, for instance 127.0.0.1:8080")
	case c.Role == RoleWorker:
		v.bad(listen, "has no effect with role worker, which accepts no requests")
	case samePort(t.Listen, net.JoinHostPort("", strconv.Itoa(c.Server.Port))):
		v.bad(listen, "must have another port than server.port")
	case samePort(t.Listen, c.Server.AdminListen):
		v.bad(listen, "must have another port than server.admin_listen")
	}
	if !slices.Contains(names, t.Endpoint) {
		v.bad(endpoint, "must be one of the endpoints: "+strings.Join(names, ", "))
	}
}

// samePort compares two addresses. Port 0 is a free one, and never the same.
func samePort(a, b string) bool {
	_, first, _ := net.SplitHostPort(a)
	_, second, _ := net.SplitHostPort(b)
	n, _ := strconv.ParseUint(first, 10, 16)
	m, _ := strconv.ParseUint(second, 10, 16)
	return n == m && n != 0
}

// names lists the endpoints that there are.
func (p *Proxy) names() []string {
	if len(p.Endpoints) == 0 {
		return []string{EndpointEcho}
	}
	return slices.Sorted(maps.Keys(p.Endpoints))
}

// validHeaderPattern refuses "*", though a token may hold one: it would look like a wildcard and match nothing.
func validHeaderPattern(name string) bool {
	return token.MatchString(name) && !strings.Contains(name, "*")
}

func (e *Endpoint) validate(v *validator, prefix string) {
	if e.URL == "" {
		v.bad(prefix+"url", "is required")
	} else {
		validateURL(v, prefix+"url", e.URL)
	}
	if !token.MatchString(e.Method) || e.Method != strings.ToUpper(e.Method) || e.Method == http.MethodConnect {
		v.bad(prefix+"method", "must be an HTTP method in capitals, and not CONNECT")
	}
	between(v, prefix+"timeout", e.Timeout, time.Millisecond, maxDuration)
	between(v, prefix+"dial_timeout", e.DialTimeout, time.Millisecond, maxDuration)
	if e.HeaderTimeout != 0 {
		between(v, prefix+"header_timeout", e.HeaderTimeout, time.Millisecond, maxDuration)
	}
	e.validateHeaders(v, prefix+"headers.")
	e.Auth.validate(v, prefix+"auth.")
	e.TLS.validate(v, prefix+"tls.", strings.HasPrefix(strings.ToLower(e.URL), "http:"))
	e.Retry.validate(v, prefix+"retry.")
	e.RateLimit.validate(v, prefix+"rate_limit.")
	between(v, prefix+"max_in_flight", e.MaxInFlight, 1, maxWorkers)
	e.Breaker.validate(v, prefix+"breaker.")
}

func (b *Breaker) validate(v *validator, prefix string) {
	between(v, prefix+"ratio", b.Ratio, 0, 1)
	between(v, prefix+"window", b.Window, time.Millisecond, maxDuration)
	between(v, prefix+"min_calls", b.MinCalls, 1, maxFailures)
	between(v, prefix+"failures", b.Failures, 0, maxFailures)
	between(v, prefix+"cooldown", b.Cooldown, time.Millisecond, maxDuration)
	between(v, prefix+"probes", b.Probes, 1, maxWorkers)
}

func (e *Endpoint) validateHeaders(v *validator, prefix string) {
	seen := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(e.Headers)) {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if other, again := seen[canonical]; again {
			v.bad(prefix+name, "is the same header as "+other)
		}
		seen[canonical] = name
		validateHeader(v, prefix+name, name)
	}
}

// ofTheConnection are fields that the HTTP client writes itself (RFC 9110 sections 7.2, 7.6.1 and 8.6). A
// fixed value would be ignored or break the message.
var ofTheConnection = []string{
	"Connection", "Content-Length", "Host", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding",
	"Upgrade",
}

func validateHeader(v *validator, key, name string) {
	if !token.MatchString(name) {
		v.bad(key, "must be a valid header name (RFC 9110 section 5.6.2)")
	} else if slices.Contains(ofTheConnection, textproto.CanonicalMIMEHeaderKey(name)) {
		v.bad(key, "cannot be set: HTTP itself writes "+name)
	}
}

// authFields says what each kind of authentication needs and what it may have besides.
var authFields = map[string]struct{ required, optional []string }{
	AuthNone:   {},
	AuthBearer: {required: []string{"token"}},
	AuthAPIKey: {required: []string{"token"}, optional: []string{"header"}},
	AuthBasic:  {required: []string{"username"}, optional: []string{"password"}},
	AuthCustom: {required: []string{"token", "header"}},
}

func (a *Auth) validate(v *validator, prefix string) {
	fields, known := authFields[a.Type]
	if !known {
		oneOf(v, prefix+"type", a.Type, AuthNone, AuthBearer, AuthAPIKey, AuthBasic, AuthCustom)
		return
	}
	for _, field := range []struct {
		name string
		set  bool
	}{
		{"token", a.Token.IsSet()},
		{"username", a.Username != ""},
		{"password", a.Password.IsSet()},
		{"header", a.Header != ""},
	} {
		required := slices.Contains(fields.required, field.name)
		switch {
		case required && !field.set:
			v.bad(prefix+field.name, "is required for auth type "+a.Type)
		case field.set && !required && !slices.Contains(fields.optional, field.name):
			v.bad(prefix+field.name, "has no effect with auth type "+a.Type)
		}
	}
	if strings.Contains(a.Username, ":") {
		v.bad(prefix+"username", `must not contain ":" (RFC 7617 section 2)`)
	}
	if a.Header != "" {
		validateHeader(v, prefix+"header", a.Header)
	}
}

func (t *TLS) validate(v *validator, prefix string, plainHTTP bool) {
	if (t.CertFile == "") != (t.KeyFile == "") {
		v.bad(prefix+"cert_file", "must be set together with key_file")
	}
	if t.ServerName != "" && !validHost(t.ServerName) {
		v.bad(prefix+"server_name", "must be a host name or an IP address")
	}
	if plainHTTP && *t != (TLS{}) {
		v.bad(prefix[:len(prefix)-1], "has no effect with an http URL")
	}
}
