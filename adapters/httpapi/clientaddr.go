package httpapi

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/openhqm/openhqm/domain"
)

// ProxyTrust lists the addresses of proxies whose X-Forwarded fields count. Those of other senders are ignored: a
// client can write anything into them.
type ProxyTrust []netip.Prefix

// clientBits is the prefix of an IPv6 address that counts as one client. Networks are assigned as /64 at least (RFC
// 6177), so a single host can have all addresses of one.
const clientBits = 64

// client returns what counts as one client: an IPv4 address, or an IPv6 network.
func (p ProxyTrust) client(r *http.Request) netip.Prefix { return network(p.asker(r)) }

// asker returns the client's address. It is the other end of the connection or, when that is a trusted proxy, the last
// address in X-Forwarded-For that is not one; each proxy appends the address it was called from. A value that is no
// address ends the search at the proxy that wrote it.
func (p ProxyTrust) asker(r *http.Request) netip.Addr {
	address := parseAddress(r.RemoteAddr)
	for _, list := range slices.Backward(r.Header["X-Forwarded-For"]) {
		for list != "" && p.trusts(address) {
			comma := strings.LastIndexByte(list, ',')
			hop := parseAddress(strings.TrimSpace(list[comma+1:]))
			if !hop.IsValid() {
				return address
			}
			address, list = hop, list[:max(comma, 0)]
		}
	}
	return address
}

// origin returns what backends learn about the client. Protocol and host are those of this request or, from a trusted
// proxy, those that it names. The last value of a field is the proxy's own.
func (p ProxyTrust) origin(r *http.Request) domain.Origin {
	origin := domain.Origin{Address: p.asker(r), Proto: "http", Host: r.Host}
	if r.TLS != nil {
		origin.Proto = "https"
	}
	if !p.trusts(parseAddress(r.RemoteAddr)) {
		return origin
	}
	if proto := lastValue(r.Header["X-Forwarded-Proto"]); proto == "http" || proto == "https" {
		origin.Proto = proto
	}
	if host := lastValue(r.Header["X-Forwarded-Host"]); host != "" && httpguts.ValidHostHeader(host) {
		origin.Host = host
	}
	return origin
}

// lastValue returns the last element of a list that may span several lines.
func lastValue(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	line := lines[len(lines)-1]
	return strings.TrimSpace(line[strings.LastIndexByte(line, ',')+1:])
}

func (p ProxyTrust) trusts(address netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(address) {
			return true
		}
	}
	return false
}

// parseAddress reads an address, with or without a port: some proxies write one. It returns the zero Addr for any other
// text.
func parseAddress(text string) netip.Addr {
	address, err := netip.ParseAddr(text)
	if err != nil {
		withPort, _ := netip.ParseAddrPort(text)
		address = withPort.Addr()
	}
	return address.Unmap().WithZone("")
}

// network returns the zero Prefix for the zero Addr.
func network(address netip.Addr) netip.Prefix {
	prefix, _ := address.Prefix(min(address.BitLen(), clientBits))
	return prefix
}
