package httpapi

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"golang.org/x/net/http/httpguts"

	"github.com/openhqm/openhqm/domain"
)

// ProxyTrust lists the addresses of proxies that may say for whom they ask. Nobody else is believed: a client writes
// into X-Forwarded-For whatever it likes.
type ProxyTrust []netip.Prefix

// clientBits is how much of an IPv6 address is one client: networks are handed out as /64 at the least (RFC 6177), so
// that a single host has all addresses of one.
const clientBits = 64

// client gives who is to be taken for one client: an IPv4 address, or an IPv6 network.
func (p ProxyTrust) client(r *http.Request) netip.Prefix { return network(p.asker(r)) }

// asker gives the client's address. It is the connection's other end or, where that is a trusted proxy, the last
// address in X-Forwarded-For that is none; each proxy appends whom it was asked by. What is not an address ends the
// search at the proxy that wrote it.
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

// origin gives what backends are told about the client. Protocol and host are those of this request or, where it came
// from a trusted proxy, those that the proxy was asked with, as far as it says so: the last value is its own.
func (p ProxyTrust) origin(r *http.Request) domain.Origin {
	origin := domain.Origin{Address: p.asker(r), Proto: "http", Host: r.Host}
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

// lastValue gives the end of a list that may be spread over several lines.
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

// parseAddress reads an address, with or without a port: some proxies write one. What is none gives the zero Addr.
func parseAddress(text string) netip.Addr {
	address, err := netip.ParseAddr(text)
	if err != nil {
		withPort, _ := netip.ParseAddrPort(text)
		address = withPort.Addr()
	}
	return address.Unmap().WithZone("")
}

// network gives the zero Prefix for no address.
func network(address netip.Addr) netip.Prefix {
	prefix, _ := address.Prefix(min(address.BitLen(), clientBits))
	return prefix
}
