package configs

import (
	"net"
	"net/url"
	"strings"
	"unicode"

	"golang.org/x/net/idna"
)

// Host names are kept as DNS and certificates have them, in ASCII (A-labels, RFC 5890 section 2.3.2.1): what compares
// them, looks them up or sends them never sees two spellings of one name. A name that has no such form stays as it is,
// and the checks refuse it.

// asciiNames converts the names of all servers.
func (c *Config) asciiNames() {
	c.Server.Host = asciiHost(c.Server.Host)
	c.Server.AdminListen = asciiAddress(c.Server.AdminListen)
	c.Server.PublicURL = asciiURL(c.Server.PublicURL)
	c.Proxy.Transparent.Listen = asciiAddress(c.Proxy.Transparent.Listen)
	for _, q := range queueTypes {
		if q.section == nil {
			continue
		}
		if section, ok := q.section(c).(interface{ asciiNames() }); ok {
			section.asciiNames()
		}
	}
	for name, endpoint := range c.Proxy.Endpoints {
		endpoint.URL = asciiURL(endpoint.URL)
		endpoint.TLS.ServerName = asciiHost(endpoint.TLS.ServerName)
		c.Proxy.Endpoints[name] = endpoint
	}
}

// asciiHost leaves names in ASCII alone: those of containers may have characters that IDNA does not allow.
func asciiHost(host string) string {
	if isASCII(host) {
		return host
	}
	ascii, err := idna.Lookup.ToASCII(host)
	if err != nil {
		return host
	}
	return ascii
}

// withoutBrackets returns [::] as ::, because the brackets belong to addresses with a port.
func withoutBrackets(host string) string {
	inner, ok := strings.CutPrefix(host, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if !ok || !closed || !strings.Contains(inner, ":") {
		return host
	}
	return inner
}

// asciiAddress converts the host of a host:port.
func asciiAddress(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || isASCII(host) {
		return address
	}
	return net.JoinHostPort(asciiHost(host), port)
}

// asciiURL converts the host of a URL, and leaves all else as it was written.
func asciiURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text
	}
	host := asciiHost(u.Hostname())
	if host == u.Hostname() {
		return text
	}
	if port := u.Port(); port != "" {
		host = net.JoinHostPort(host, port)
	}
	scheme, rest, _ := strings.Cut(text, "://")
	authority := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		authority = rest[:end]
	}
	user := authority[:strings.LastIndexByte(authority, '@')+1]
	return scheme + "://" + user + host + rest[len(authority):]
}

// asciiRedisURL also converts the hosts of further servers.
func asciiRedisURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return text
	}
	query, changed := u.Query(), false
	for i, seed := range query["addr"] {
		query["addr"][i] = asciiAddress(seed)
		changed = changed || query["addr"][i] != seed
	}
	if changed {
		u.RawQuery = query.Encode()
		text = u.String()
	}
	return asciiURL(text)
}

func isASCII(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r > unicode.MaxASCII })
}
